-- The query for a page of events of incidents and of access keys, with only the clauses that are asked for.
-- Members of p_query: about (`incidents`: of these only), actorKind, actorId, type, incidentId, accessKeyId, from, to, order, after, limit.
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
    'recorded_at >= ' || quote_literal(p_query ->> 'from'),
    'recorded_at < ' || quote_literal(p_query ->> 'to'),
    CASE WHEN is_descending THEN 'index < ' ELSE 'index > ' END || (p_query ->> 'after')::bigint
  ];
  ordered text := format(
    'ORDER BY index %s LIMIT %s', CASE WHEN is_descending THEN 'DESC' ELSE 'ASC' END, (p_query ->> 'limit')::integer
  );
  of_incidents text := concat_ws(
    E'\n',
    'SELECT index, id, incident_id, NULL::uuid AS access_key_id, revision, type, at, recorded_at, actor_kind, actor_id, actor_name,'
    ' correlation_id, data, erased_fields',
    'FROM incident_event',
    'WHERE ' || nullif(array_to_string(clauses || ('incident_id = ' || quote_literal(p_query ->> 'incidentId')), E'\n  AND '), ''),
    ordered
  );
  of_access_keys text := concat_ws(
    E'\n',
    'SELECT index, id, NULL::uuid AS incident_id, access_key_id, revision, type, at, recorded_at, actor_kind, actor_id, actor_name,'
    ' correlation_id, data, NULL::text[] AS erased_fields',
    'FROM access_key_event',
    'WHERE ' || nullif(array_to_string(clauses || ('access_key_id = ' || quote_literal(p_query ->> 'accessKeyId')), E'\n  AND '), ''),
    ordered
  );
BEGIN
  RETURN CASE
    -- No event is about both.
    WHEN p_query ?& ARRAY['incidentId', 'accessKeyId'] THEN format('SELECT * FROM (%s) events WHERE false', of_incidents)
    WHEN p_query ->> 'about' = 'incidents' OR p_query ? 'incidentId' THEN of_incidents
    WHEN p_query ? 'accessKeyId' THEN of_access_keys
    ELSE format(E'(%s)\nUNION ALL\n(%s)\n%s', of_incidents, of_access_keys, ordered)
  END;
END
$$;
