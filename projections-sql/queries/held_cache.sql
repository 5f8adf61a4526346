-- $1: leader. The epoch that is open, or null. No row: it has lost its say.
SELECT epoch FROM ledger.cache_epoch WHERE leader = $1
