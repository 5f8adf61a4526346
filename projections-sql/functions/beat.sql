-- Says that the leader of a projection lives, and how far it is, though nothing may have happened.
CREATE OR REPLACE FUNCTION ledger.beat(p_name text, p_generation integer, p_far_behind boolean)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  -- A beat that is lost with the server is not missed: this waits for no disk.
  PERFORM set_config('synchronous_commit', 'off', true);

  UPDATE projection
  SET far_behind = p_far_behind, beat_at = clock_timestamp()
  WHERE name = p_name AND generation = p_generation;

  IF NOT FOUND THEN
    RAISE EXCEPTION 'the read model of % was rebuilt', p_name USING ERRCODE = 'IL001';
  END IF;

  PERFORM announce(projection) FROM projection WHERE name = p_name;
END
$$;
