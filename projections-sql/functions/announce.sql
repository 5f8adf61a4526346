-- Has every process hear how far a projection is, when the transaction commits: generation, index, commit, prepare.
-- By then its readers have been told to pass the cache over for what changes, so that none will see less.
CREATE OR REPLACE FUNCTION ledger.announce(p ledger.projection)
RETURNS void
LANGUAGE sql
AS $$
  SELECT pg_notify('ledger_announced', concat_ws(' ', p.generation, p.index, p.commit, p.prepare));
$$;
