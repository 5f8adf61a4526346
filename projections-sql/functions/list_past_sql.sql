-- The query for a page of incidents as they stood at a moment, found by what never changes, or by the details. For the members of p_query
-- see list_incidents_sql.
CREATE OR REPLACE FUNCTION ledger.list_past_sql(p_query jsonb)
RETURNS text
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
  moment text := quote_literal(coalesce(p_query ->> 'asOf', p_query ->> 'knownAt'));
  time_line text := CASE WHEN p_query ? 'knownAt' THEN 'recorded_at' ELSE 'at' END;
  sort_at text := CASE WHEN p_query ->> 'sort' IN ('updatedAt', '-updatedAt') THEN 'e.at' ELSE 'i.reported_at' END;
  clauses text[] := list_clauses(p_query, 'e.', 'i', sort_at, 'i.id')
    || known_clause(p_query, sort_at)
    -- Nothing is recorded before it happens, so this holds on both time lines and bounds the scan.
    || format('i.reported_at <= %s', moment)
    || CASE WHEN p_query ? 'knownAt' THEN format('i.first_recorded_at <= %s', moment) END;
BEGIN
  RETURN concat_ws(
    E'\n',
    -- Of each incident, the last event until then.
    'SELECT i.id, e.revision FROM incident i CROSS JOIN LATERAL (',
    format(
      'SELECT * FROM incident_event WHERE incident_id = i.id AND %I <= %s ORDER BY revision DESC LIMIT 1) e',
      time_line, moment
    ),
    CASE WHEN p_query ?| ARRAY['labels', 'q'] THEN
      'JOIN incident_details d ON d.incident_id = i.id AND d.revision = e.details_revision'
    END,
    'WHERE ' || array_to_string(clauses, E'\n  AND '),
    list_order(p_query, sort_at, 'i.id')
  );
END
$$;
