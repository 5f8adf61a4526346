-- $1: leader, $2: version since which it has retired nothing, $3: epoch, $4: place. No row: it has lost its say, or has retired since.
UPDATE ledger.cache_epoch
SET epoch = $3, place = $4, retired_at = NULL
WHERE leader = $1 AND version = $2
RETURNING pg_notify('ledger_announced', '')
