-- Gives a process the memory of nonces for itself, for so many ms, if nobody has it and no other wanted it for so many ms. All that was
-- used before is committed then, and whoever wants to use one after that finds it given.
CREATE OR REPLACE FUNCTION ledger.lease_nonces(p_process text, p_lease_ms float8, p_quiet_ms float8)
RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
  -- Before the lock, which all who use nonces would have to wait for.
  PERFORM FROM nonce_process
  WHERE process <> p_process AND seen_at > clock_timestamp() - p_quiet_ms * interval '1 ms';
  IF FOUND THEN
    RETURN false;
  END IF;

  PERFORM pg_advisory_xact_lock(hashtextextended('incident ledger: nonces', 0));
  UPDATE nonce_memory
  SET holder = p_process, held_until = clock_timestamp() + p_lease_ms * interval '1 ms'
  WHERE holder IS NULL;
  RETURN FOUND;
END
$$;
