-- The query for a page of incidents as they stood at a moment, by when they were reported, found by who had them or else by how severe they
-- were. For the members of p_query see list_incidents_sql.
-- Those of which it still holds are found by the indexes of the present, those of which it holds no more by the events that ended it.
CREATE OR REPLACE FUNCTION ledger.list_past_holders_sql(p_query jsonb)
RETURNS text
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
  moment text := quote_literal(coalesce(p_query ->> 'asOf', p_query ->> 'knownAt'));
  time_line text := CASE WHEN p_query ? 'knownAt' THEN 'recorded_at' ELSE 'at' END;
  held text := CASE WHEN p_query ? 'assignee' THEN 'assignee' ELSE 'severity' END;
  held_value text := quote_literal(p_query ->> held);
  state text := format(
    'CROSS JOIN LATERAL ('
    'SELECT * FROM incident_event WHERE incident_id = i.id AND %I <= %s ORDER BY revision DESC LIMIT 1) e',
    time_line, moment
  ) || CASE WHEN p_query ?| ARRAY['labels', 'q'] THEN
    E'\nJOIN incident_details d ON d.incident_id = i.id AND d.revision = e.details_revision'
  ELSE '' END;
  still text[] := ARRAY[format('i.%I = %s', held, held_value)]
    || list_clauses(p_query, 'e.', 'i', 'i.reported_at', 'i.id')
    || known_clause(p_query, 'i.reported_at')
    || format('i.reported_at <= %s', moment)
    || CASE WHEN p_query ? 'knownAt' THEN format('i.first_recorded_at <= %s', moment) END;
  no_more text[] := ARRAY[
      format('ended.before_%s = %s', held, held_value),
      CASE held
        WHEN 'assignee' THEN 'ended.before_assignee <> coalesce(ended.assignee, '''')'
        ELSE 'ended.before_severity <> ended.severity'
      END,
      format('ended.%I > %s', time_line, moment),
      format('i.%I IS DISTINCT FROM %s', held, held_value)
    ]
    || list_clauses(p_query, 'e.', 'i', 'ended.reported_at', 'ended.incident_id')
    || known_clause(p_query, 'ended.reported_at')
    || format('ended.reported_at <= %s', moment);
BEGIN
  RETURN concat_ws(
    E'\n',
    'SELECT * FROM ((',
    'SELECT i.id, e.revision, i.reported_at AS sort_at FROM incident i',
    state,
    'WHERE ' || array_to_string(still, E'\n  AND '),
    list_order(p_query, 'i.reported_at', 'i.id'),
    ') UNION ALL (',
    -- It may have come and gone more than once.
    'SELECT DISTINCT ON (ended.reported_at, ended.incident_id) ended.incident_id, e.revision, ended.reported_at'
    ' FROM incident_event ended JOIN incident i ON i.id = ended.incident_id',
    state,
    'WHERE ' || array_to_string(no_more, E'\n  AND '),
    list_order(p_query, 'ended.reported_at', 'ended.incident_id'),
    ')) parts',
    list_order(p_query, 'sort_at', 'id')
  );
END
$$;
