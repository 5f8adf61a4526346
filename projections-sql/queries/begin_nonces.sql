-- The memory of nonces was lost: it begins anew.
INSERT INTO ledger.nonce_memory DEFAULT VALUES ON CONFLICT DO NOTHING;
