-- $1 key ids and $2 nonces, as JSON, which costs the caller least; $3 for how many ms.
INSERT INTO used_nonce (key_id, nonce, until)
SELECT key_id, nonce, now() + $3 * interval '1 ms'
FROM ROWS FROM (json_array_elements_text($1), json_array_elements_text($2)) AS given (key_id, nonce)
ORDER BY key_id, nonce
ON CONFLICT DO NOTHING;
