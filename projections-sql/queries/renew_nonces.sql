-- $1 process, $2 for how many ms, $3 how many ms ago another process must have wanted the memory to want it still. No row: it has no lease.
-- The end never moves backwards, though the clock may.
UPDATE nonce_memory
SET held_until = greatest(held_until, clock_timestamp() + $2 * interval '1 ms')
WHERE holder = $1
RETURNING
  (extract(epoch FROM held_until) * 1000)::float8 AS end_ms,
  (extract(epoch FROM begun_at) * 1000)::float8 AS begun_ms,
  EXISTS (
    SELECT FROM nonce_process WHERE process <> $1 AND seen_at > clock_timestamp() - $3 * interval '1 ms'
  ) AS is_wanted;
