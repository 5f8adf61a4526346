-- The order of a list of incidents, and how many of them a page has.
CREATE OR REPLACE FUNCTION ledger.list_order(p_query jsonb, p_sort_at text, p_sort_id text)
RETURNS text
LANGUAGE sql
IMMUTABLE
AS $$
  SELECT format(
    'ORDER BY %1$s %3$s, %2$s %3$s LIMIT %4$s',
    p_sort_at, p_sort_id, CASE WHEN p_query ->> 'sort' LIKE '-%' THEN 'DESC' ELSE 'ASC' END, (p_query ->> 'limit')::integer
  )
$$;
