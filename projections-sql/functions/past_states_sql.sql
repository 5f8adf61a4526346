-- The query for how incidents stood at a moment to which something has happened since: p_columns of the events e that ended it, of which
-- "e.before_…" is how it stood. p_query must have asOf or knownAt.
-- p_joins: what else p_columns and p_clauses need, besides e; p_order: the order and limit of p_query, or nothing.
-- Of what stood for less than 4^n milliseconds, the beginning was less than that before the moment; and of what began then, a good part
-- stood so at the moment. So for each n a stretch of an index is read, apart from the others (OFFSET 0), and in the list's order where
-- that is the index's.
CREATE OR REPLACE FUNCTION ledger.past_states_sql(
  p_query jsonb, p_columns text, p_joins text, p_clauses text[], p_order text
)
RETURNS text
LANGUAGE sql
IMMUTABLE
AS $$
  SELECT concat_ws(
    E'\n',
    format('SELECT state.* FROM generate_series(1, 22) n CROSS JOIN LATERAL (SELECT %s FROM incident_event e', p_columns),
    p_joins,
    format(
      'WHERE e.%1$I = n AND e.%1$I > 0 AND e.%2$I > %3$s AND e.before_%2$s <= %3$s AND e.before_%2$s > CASE WHEN n < 22'
      ' THEN %3$s::timestamptz - power(4, n) * interval ''1 millisecond'' ELSE ''-infinity'' END',
      CASE WHEN p_query ? 'knownAt' THEN 'known_for' ELSE 'stood_for' END,
      CASE WHEN p_query ? 'knownAt' THEN 'recorded_at' ELSE 'at' END,
      quote_literal(coalesce(p_query ->> 'asOf', p_query ->> 'knownAt'))
    ),
    'AND ' || nullif(array_to_string(p_clauses, E'\n  AND '), ''),
    coalesce(p_order, 'OFFSET 0'),
    ') state'
  )
$$;
