-- The hashes of the leaves from tile $1 on, of at most $2 tiles.
SELECT index, hashes FROM ledger.tile WHERE level = 0 AND index >= $1 AND index < $1 + $2 ORDER BY index;
