SELECT beat($1, $2, $3);
