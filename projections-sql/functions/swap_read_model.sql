-- Puts the rebuilt read model in the place of the live one, as its next generation. Both must contain the same events, and
-- the caller must hold the lock of the live one's checkpoint.
-- Renamed, not dropped: a rename waits for no reader, and those who are reading the old tables can finish.
CREATE OR REPLACE FUNCTION ledger.swap_read_model(p_live text, p_next text)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  UPDATE projection live
  SET version = next.version, generation = live.generation + 1
  FROM projection next
  WHERE live.name = p_live AND next.name = p_next AND live.index = next.index
    AND live.event_id IS NOT DISTINCT FROM next.event_id;

  IF NOT FOUND THEN
    RAISE EXCEPTION '% does not contain the same events as %', p_next, p_live;
  END IF;

  DELETE FROM projection WHERE name = p_next;
  ALTER SCHEMA read_model RENAME TO read_model_old;
  ALTER SCHEMA read_model_next RENAME TO read_model;
END
$$;
