-- Those that are of no use any more, as many at a time as delay nobody; and processes that are long gone.
WITH gone AS (DELETE FROM nonce_process WHERE seen_at < now() - interval '1 hour')
DELETE FROM used_nonce
WHERE (key_id, nonce) IN (SELECT key_id, nonce FROM used_nonce WHERE until < now() ORDER BY until LIMIT 10000);
