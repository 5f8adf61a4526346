-- Moves a projection's checkpoint from one event to another, if it still stands at the first, and has it announced when the
-- transaction commits.
-- Must be the first statement of the transaction that writes the rows: whoever comes second waits here, and then fails.
CREATE OR REPLACE FUNCTION ledger.advance_checkpoint(p_name text, p_from json, p_to json, p_far_behind boolean)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  UPDATE projection
  SET index = (p_to ->> 'index')::bigint,
      commit = (p_to ->> 'commit')::bigint,
      prepare = (p_to ->> 'prepare')::bigint,
      event_id = (p_to ->> 'eventId')::uuid,
      far_behind = p_far_behind,
      beat_at = clock_timestamp()
  WHERE name = p_name
    AND generation = (p_from ->> 'generation')::integer
    AND index = (p_from ->> 'index')::bigint
    AND event_id IS NOT DISTINCT FROM (p_from ->> 'eventId')::uuid;

  IF NOT FOUND THEN
    RAISE EXCEPTION 'the checkpoint of % was moved by another', p_name USING ERRCODE = 'IL001';
  END IF;

  PERFORM announce(projection) FROM projection WHERE name = p_name;
END
$$;
