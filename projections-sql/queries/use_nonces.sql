-- $1 key ids, $2 nonces, $3 until when to remember them. Answers those that were never used before, and when the memory of them began: null
-- where it has been lost. In the order of the table's key, so that two processes that use the same ones do not wait in a circle.
WITH used AS (
  INSERT INTO ledger.nonce (key_id, nonce, until)
  SELECT given.key_id, given.nonce, given.until
  FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS given (key_id, nonce, until)
  ORDER BY given.key_id, given.nonce
  ON CONFLICT DO NOTHING
  RETURNING key_id, nonce
)
SELECT
  key_id,
  nonce,
  (SELECT extract(epoch FROM begun_at) * 1000 FROM ledger.nonce_memory)::float8 AS begun_ms
FROM used;
