-- Uses nonces for a process, and notes that it wants them. `fresh`: the places among the given, from 1, of those that were never used before.
-- `begun_ms`: when the memory of them began. `is_held`: nothing was used, because another process has the memory for itself.
CREATE OR REPLACE FUNCTION ledger.use_nonces(
  p_process text,
  p_key_ids text[],
  p_nonces text[],
  p_keep_ms float8[],
  OUT is_held boolean,
  OUT begun_ms float8,
  OUT fresh integer[]
)
LANGUAGE plpgsql
AS $$
DECLARE
  memory nonce_memory;
BEGIN
  -- Between the look at the lease and the commit nobody takes it: whoever wants to, locks this alone.
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('incident ledger: nonces', 0));

  PERFORM FROM nonce_process WHERE process = p_process AND seen_at > clock_timestamp() - interval '1 second';
  IF NOT FOUND THEN
    INSERT INTO nonce_process (process, seen_at)
    VALUES (p_process, clock_timestamp())
    ON CONFLICT (process) DO UPDATE SET seen_at = excluded.seen_at;
  END IF;

  -- A lease that has run out is over. What its holder took by itself was created up to its end: from then on the memory vouches, as always
  -- with the ten seconds that a caller's clock may be ahead.
  UPDATE nonce_memory
  SET holder = NULL, held_until = NULL, begun_at = greatest(begun_at, held_until - interval '10 seconds')
  WHERE holder <> p_process AND held_until < clock_timestamp();

  SELECT * INTO memory FROM nonce_memory;
  IF NOT FOUND THEN
    -- The memory was lost: it begins anew.
    INSERT INTO nonce_memory (begun_at) VALUES (clock_timestamp()) ON CONFLICT DO NOTHING;
    SELECT * INTO memory FROM nonce_memory;
  END IF;

  is_held := coalesce(memory.holder <> p_process, false);
  begun_ms := extract(epoch FROM memory.begun_at) * 1000;
  IF is_held THEN
    RETURN;
  END IF;

  -- In the order of the table's key, so that two processes that use the same ones do not wait in a circle.
  WITH given AS (
    SELECT * FROM unnest(p_key_ids, p_nonces, p_keep_ms) WITH ORDINALITY AS given (key_id, nonce, keep_ms, place)
  ), used AS (
    INSERT INTO used_nonce (key_id, nonce, until)
    SELECT given.key_id, given.nonce, now() + given.keep_ms * interval '1 ms'
    FROM given
    ORDER BY given.key_id, given.nonce
    ON CONFLICT DO NOTHING
    RETURNING key_id, nonce
  )
  SELECT coalesce(array_agg(given.place::integer), '{}') INTO fresh FROM given JOIN used USING (key_id, nonce);
END
$$;
