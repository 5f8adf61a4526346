-- A page of incidents: what list_incidents_sql makes of p_query, carried out.
CREATE OR REPLACE FUNCTION ledger.list_incidents(p_query jsonb)
RETURNS TABLE (
  id uuid,
  status ledger.status,
  severity ledger.severity,
  source ledger.source,
  origin text,
  origin_ref text,
  external_key text,
  assignee text,
  occurred_at timestamptz,
  reported_at timestamptz,
  updated_at timestamptz,
  recorded_at timestamptz,
  acknowledged_at timestamptz,
  resolved_at timestamptz,
  revision integer,
  reopen_count integer,
  erased text[],
  details_revision integer,
  title text,
  description text,
  labels jsonb
)
LANGUAGE plpgsql
STABLE
AS $$
BEGIN
  RETURN QUERY EXECUTE list_incidents_sql(p_query);
END
$$;
