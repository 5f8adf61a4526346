SELECT lease_nonces($1, $2, $3) AS is_given;
