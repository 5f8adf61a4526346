-- A page of events: what list_events_sql makes of p_query, carried out.
CREATE OR REPLACE FUNCTION ledger.list_events(p_query jsonb)
RETURNS TABLE (
  index bigint,
  id uuid,
  incident_id uuid,
  access_key_id uuid,
  revision integer,
  type text,
  at timestamptz,
  recorded_at timestamptz,
  actor_kind text,
  actor_id text,
  actor_name text,
  correlation_id text,
  data json,
  erased_fields text[]
)
LANGUAGE plpgsql
STABLE
AS $$
BEGIN
  RETURN QUERY EXECUTE list_events_sql(p_query);
END
$$;
