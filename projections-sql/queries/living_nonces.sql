-- A page of those that are remembered, behind $1, $2.
SELECT key_id, nonce FROM used_nonce WHERE (key_id, nonce) > ($1, $2) ORDER BY key_id, nonce LIMIT $3;
