-- A page of incidents: what list_incidents_sql makes of p_query, carried out.
-- How they stood is read apart, by a statement that is planned once.
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
DECLARE
  ids uuid[];
  revisions integer[];
BEGIN
  IF NOT p_query ?| ARRAY['asOf', 'knownAt'] THEN
    RETURN QUERY EXECUTE list_incidents_sql(p_query);
    RETURN;
  END IF;

  EXECUTE format('SELECT array_agg(id), array_agg(revision) FROM (%s) page', list_incidents_sql(p_query)) INTO ids, revisions;
  RETURN QUERY
  SELECT
    i.id, e.status, e.severity, i.source, i.origin, i.origin_ref, i.external_key, e.assignee, i.occurred_at, i.reported_at, e.at,
    e.recorded_at, e.acknowledged_at, e.resolved_at, e.revision, e.reopen_count, e.erased, e.details_revision, d.title, d.description,
    d.labels
  FROM unnest(ids, revisions) WITH ORDINALITY page(incident_id, revision, place)
  JOIN incident i ON i.id = page.incident_id
  JOIN incident_event e ON e.incident_id = page.incident_id AND e.revision = page.revision
  JOIN incident_details d ON d.incident_id = page.incident_id AND d.revision = e.details_revision
  ORDER BY page.place;
END
$$;
