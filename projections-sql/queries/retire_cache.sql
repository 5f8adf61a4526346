-- $1: leader. No row: it has lost its say.
UPDATE ledger.cache_epoch
SET version = version + 1, epoch = NULL, place = NULL
WHERE leader = $1
RETURNING version, pg_notify('ledger_announced', '')
