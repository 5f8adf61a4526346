-- The query for a page of incidents as they stood at a moment, found by how they stood. For the members of p_query see list_incidents_sql.
-- What nothing has happened to since is found by the indexes of the present, what something has by the events that ended how it stood.
CREATE OR REPLACE FUNCTION ledger.list_past_states_sql(p_query jsonb)
RETURNS text
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
  moment text := quote_literal(coalesce(p_query ->> 'asOf', p_query ->> 'knownAt'));
  last_at text := CASE WHEN p_query ? 'knownAt' THEN 'recorded_at' ELSE 'updated_at' END;
  is_by_update boolean := p_query ->> 'sort' IN ('updatedAt', '-updatedAt');
  unchanged_at text := CASE WHEN is_by_update THEN 'i.updated_at' ELSE 'i.reported_at' END;
  changed_at text := CASE WHEN is_by_update THEN 'e.before_at' ELSE 'e.reported_at' END;
  needs_details boolean := p_query ?| ARRAY['labels', 'q'];
  unchanged_clauses text[] := list_clauses(p_query, 'i.', 'i', unchanged_at, 'i.id')
    || known_clause(p_query, unchanged_at)
    || format('%s <= %s', unchanged_at, moment)
    || format('i.%I <= %s', last_at, moment);
  unchanged text := concat_ws(
    E'\n',
    format('SELECT i.id, i.revision, %s AS sort_at FROM incident i', unchanged_at),
    CASE WHEN needs_details THEN
      'JOIN incident_details d ON d.incident_id = i.id AND d.revision = i.details_revision'
    END,
    'WHERE ' || array_to_string(unchanged_clauses, E'\n  AND '),
    list_order(p_query, unchanged_at, 'i.id')
  );
  changed text := past_states_sql(
    p_query,
    format('e.incident_id AS id, e.revision - 1 AS revision, %s AS sort_at', changed_at),
    CASE WHEN needs_details THEN
      -- The details that held before the event hold after it, unless it changed them.
      'JOIN incident_details d ON d.incident_id = e.incident_id AND d.revision = CASE'
      ' WHEN e.details_revision < e.revision THEN e.details_revision'
      ' ELSE (SELECT details_revision FROM incident_event WHERE incident_id = e.incident_id AND revision = e.revision - 1) END'
    END,
    list_clauses(p_query, 'e.before_', 'e', changed_at, 'e.incident_id'),
    list_order(p_query, changed_at, 'e.incident_id')
  );
BEGIN
  RETURN format(
    E'SELECT * FROM ((\n%s\n) UNION ALL (\n%s\n%3$s)) parts\n%3$s', unchanged, changed, list_order(p_query, 'sort_at', 'id')
  );
END
$$;
