-- $1 levels, $2 indexes.
SELECT tile.level, tile.index, tile.hashes
FROM unnest($1::smallint[], $2::bigint[]) AS wanted (level, index)
JOIN ledger.tile USING (level, index);
