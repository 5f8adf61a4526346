-- $1: leader, $2: the version of its retirement, which is committed, so that whoever asks from this moment on sees it.
UPDATE ledger.cache_epoch
SET retired_at = clock_timestamp()
WHERE leader = $1 AND version = $2 AND epoch IS NULL AND retired_at IS NULL
