-- Those that are of no use any more; as many at a time as delay nobody.
DELETE FROM ledger.nonce
WHERE (key_id, nonce) IN (SELECT key_id, nonce FROM ledger.nonce WHERE until < now() ORDER BY until LIMIT 10000);
