-- The query for a page of incidents, with only the clauses that are asked for: so each combination gets a plan of its own.
-- Members of p_query: status, source, severity, assignee, labels, q, from, to, sort, limit, afterAt, afterId, asOf, knownAt.
-- And part, which only this function itself sets: of a list of the past, either the incidents to which nothing has happened since, or
-- the others.
-- Whatever comes from a caller stands in it as a quoted literal. (A clause without its value is NULL, and is left out.)
CREATE OR REPLACE FUNCTION ledger.list_incidents_sql(p_query jsonb)
RETURNS text
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
  moment text := quote_literal(coalesce(p_query ->> 'asOf', p_query ->> 'knownAt'));
  time_line text := CASE WHEN p_query ? 'knownAt' THEN 'recorded_at' ELSE 'at' END;
  last_at text := CASE WHEN p_query ? 'knownAt' THEN 'recorded_at' ELSE 'updated_at' END;
  part text := p_query ->> 'part';
  -- What nothing has happened to since stood as it stands.
  is_past boolean := moment IS NOT NULL AND part IS DISTINCT FROM 'unchanged';
  is_by_update boolean := p_query ->> 'sort' IN ('updatedAt', '-updatedAt');
  is_descending boolean := p_query ->> 'sort' LIKE '-%';
  -- Where what events change is taken from: the incident as it is, or the event after which it stood so.
  state text := CASE WHEN is_past THEN 'e' ELSE 'i' END;
  updated_at text := CASE WHEN is_past THEN 'e.at' ELSE 'i.updated_at' END;
  sort_column text := CASE WHEN is_by_update THEN updated_at ELSE 'i.reported_at' END;
  -- The incident's id, in the table whose index has the order.
  sort_id text := CASE WHEN is_by_update AND is_past AND part IS NULL THEN 'e.incident_id' ELSE 'i.id' END;
  direction text := CASE WHEN is_descending THEN 'DESC' ELSE 'ASC' END;
  states text;
  clauses text[];
BEGIN
  -- Whom an open incident waits for, and that it does, holds of few at any moment, who may lie far apart: walking along all of the past
  -- would take long to find them. So those that stand as they stood are found by the indexes of the present, and the others among what
  -- was under way.
  IF is_past AND part IS NULL AND (p_query ->> 'status' <> 'closed' OR p_query ? 'assignee') THEN
    RETURN format(
      E'SELECT * FROM (\n(%s)\nUNION ALL\n(%s)\n) parts\nORDER BY %s %5$s, id %5$s\nLIMIT %4$s',
      list_incidents_sql(p_query || '{"part": "unchanged"}'),
      list_incidents_sql(p_query || '{"part": "changed"}'),
      CASE WHEN is_by_update THEN 'updated_at' ELSE 'reported_at' END,
      (p_query ->> 'limit')::integer,
      direction
    );
  END IF;

  states := CASE
    WHEN NOT is_past THEN
      'incident i'
    WHEN is_by_update AND part IS NULL THEN
      -- In the order of the events; each must have been the last of its incident.
      'incident_event e JOIN incident i ON i.id = e.incident_id'
    ELSE
      -- In the order of the incidents; of each, the last event until then.
      format(
        'incident i CROSS JOIN LATERAL ('
        'SELECT * FROM incident_event WHERE incident_id = i.id AND %I <= %s ORDER BY revision DESC LIMIT 1) e',
        time_line, moment
      )
  END;

  clauses := ARRAY[
    format('%s.status = ', state) || quote_literal(p_query ->> 'status'),
    'i.source = ' || quote_literal(p_query ->> 'source'),
    format('%s.severity = ', state) || quote_literal(p_query ->> 'severity'),
    format('%s.assignee = ', state) || quote_literal(p_query ->> 'assignee'),
    'd.labels @> ' || quote_literal(p_query ->> 'labels'),
    'd.search @@ websearch_to_tsquery(''simple'', ' || quote_literal(p_query ->> 'q') || ')',
    'i.reported_at >= ' || quote_literal(p_query ->> 'from'),
    'i.reported_at < ' || quote_literal(p_query ->> 'to'),
    format('(%s, %s) %s ', sort_column, sort_id, CASE WHEN is_descending THEN '<' ELSE '>' END)
      || '(' || quote_literal(p_query ->> 'afterAt') || ', ' || quote_literal(p_query ->> 'afterId') || ')',
    -- Nothing happens after it is recorded, so this holds on both time lines and bounds the scan.
    format('%s <= ', sort_column) || moment,
    'i.reported_at <= ' || moment,
    CASE part WHEN 'unchanged' THEN format('i.%I <= ', last_at) WHEN 'changed' THEN format('i.%I > ', last_at) END || moment
  ];
  IF is_past AND is_by_update AND part IS NULL THEN
    clauses := clauses || format('e.%1$I <= %2$s', time_line, moment) || format(
      'coalesce((SELECT later.%1$I FROM incident_event later'
      ' WHERE later.incident_id = e.incident_id AND later.revision = e.revision + 1), ''infinity'') > %2$s',
      time_line, moment
    );
  END IF;

  RETURN concat_ws(
    E'\n',
    format(
      'SELECT i.id, %1$s.status, %1$s.severity, i.source, i.origin, i.origin_ref, i.external_key, %1$s.assignee, i.occurred_at,'
      ' i.reported_at, %2$s, %1$s.recorded_at, %1$s.acknowledged_at, %1$s.resolved_at, %1$s.revision, %1$s.reopen_count,'
      ' %1$s.erased, %1$s.details_revision, d.title, d.description, d.labels',
      state, updated_at
    ),
    format('FROM %s', states),
    format('JOIN incident_details d ON d.incident_id = i.id AND d.revision = %s.details_revision', state),
    'WHERE ' || nullif(array_to_string(clauses, E'\n  AND '), ''),
    format('ORDER BY %1$s %3$s, %2$s %3$s', sort_column, sort_id, direction),
    format('LIMIT %s', (p_query ->> 'limit')::integer)
  );
END
$$;
