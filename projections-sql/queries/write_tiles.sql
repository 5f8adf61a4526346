-- Moves the notary from event $1 (with id $2) to event $3 (id $4, at $5/$6) and writes what has grown: tiles of levels $7 and indexes $8, whose
-- hashes end at $9 in the bytes $10; bundles of entries $11, which end at $12 in the bytes $13. No row: another moved it meanwhile, and
-- nothing is written. Waits for the disk where $14 is on.
WITH durability AS (
  SELECT set_config('synchronous_commit', $14, true)
),
moved AS (
  UPDATE ledger.notary
  SET index = $3, event_id = $4, commit = $5, prepare = $6
  WHERE index = $1::bigint AND event_id IS NOT DISTINCT FROM $2::uuid
  RETURNING index
),
tiles AS (
  INSERT INTO ledger.tile (level, index, hashes)
  SELECT level, tile.index, substring($10::bytea FROM first + 1 FOR last - first)
  FROM (
    SELECT level, index, last, lag(last, 1, 0) OVER (ORDER BY ordinal) AS first
    FROM unnest($7::smallint[], $8::bigint[], $9::integer[]) WITH ORDINALITY AS grown (level, index, last, ordinal)
  ) AS tile, moved
  ON CONFLICT (level, index) DO UPDATE SET hashes = excluded.hashes
),
bundles AS (
  INSERT INTO ledger.entry_bundle (index, entries)
  SELECT bundle.index, substring($13::bytea FROM first + 1 FOR last - first)
  FROM (
    SELECT index, last, lag(last, 1, 0) OVER (ORDER BY ordinal) AS first
    FROM unnest($11::bigint[], $12::integer[]) WITH ORDINALITY AS grown (index, last, ordinal)
  ) AS bundle, moved
  ON CONFLICT (index) DO UPDATE SET entries = excluded.entries
)
SELECT index FROM moved, durability;
