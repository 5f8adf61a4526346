-- The query for a page of events across incidents, with only the clauses that are asked for.
-- Members of p_query: actorKind, actorId, type, incidentId, from, to, order, after, limit.
-- Whatever comes from a caller stands in it as a quoted literal. (A clause without its value is NULL, and is left out.)
CREATE OR REPLACE FUNCTION ledger.list_events_sql(p_query jsonb)
RETURNS text
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
  is_descending boolean := p_query ->> 'order' = 'descending';
  clauses text[] := ARRAY[
    'actor_kind = ' || quote_literal(p_query ->> 'actorKind'),
    'actor_id = ' || quote_literal(p_query ->> 'actorId'),
    'type = ' || quote_literal(p_query ->> 'type'),
    'incident_id = ' || quote_literal(p_query ->> 'incidentId'),
    'recorded_at >= ' || quote_literal(p_query ->> 'from'),
    'recorded_at < ' || quote_literal(p_query ->> 'to'),
    CASE WHEN is_descending THEN 'index < ' ELSE 'index > ' END || (p_query ->> 'after')::bigint
  ];
BEGIN
  RETURN concat_ws(
    E'\n',
    'SELECT index, id, incident_id, revision, type, at, recorded_at, actor_kind, actor_id, actor_name, correlation_id, data, erased_fields',
    'FROM incident_event',
    'WHERE ' || nullif(array_to_string(clauses, E'\n  AND '), ''),
    'ORDER BY index ' || CASE WHEN is_descending THEN 'DESC' ELSE 'ASC' END,
    'LIMIT ' || (p_query ->> 'limit')::integer
  );
END
$$;
