-- What a page of incidents is limited to: the filters of p_query, and after which incident it begins. For the members of p_query see
-- list_incidents_sql.
-- p_state: what precedes the names of the columns that events change; p_incident: the table that has those that none changes.
CREATE OR REPLACE FUNCTION ledger.list_clauses(
  p_query jsonb, p_state text, p_incident text, p_sort_at text, p_sort_id text
)
RETURNS text[]
LANGUAGE sql
IMMUTABLE
AS $$
  SELECT array_remove(
    ARRAY[
      p_state || 'status = ' || quote_literal(p_query ->> 'status'),
      p_incident || '.source = ' || quote_literal(p_query ->> 'source'),
      p_state || 'severity = ' || quote_literal(p_query ->> 'severity'),
      p_state || 'assignee = ' || quote_literal(p_query ->> 'assignee'),
      'd.labels @> ' || quote_literal(p_query ->> 'labels'),
      'd.search @@ websearch_to_tsquery(''simple'', ' || quote_literal(p_query ->> 'q') || ')',
      p_incident || '.reported_at >= ' || quote_literal(p_query ->> 'from'),
      p_incident || '.reported_at < ' || quote_literal(p_query ->> 'to'),
      format('(%s, %s) %s ', p_sort_at, p_sort_id, CASE WHEN p_query ->> 'sort' LIKE '-%' THEN '<' ELSE '>' END)
        || '(' || quote_literal(p_query ->> 'afterAt') || ', ' || quote_literal(p_query ->> 'afterId') || ')'
    ],
    NULL
  )
$$;
