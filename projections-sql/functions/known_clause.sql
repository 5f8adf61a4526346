-- Of a list of what was known at a moment, where along its order anything was: as a bound on p_sort_at. NULL for other lists.
CREATE OR REPLACE FUNCTION ledger.known_clause(p_query jsonb, p_sort_at text)
RETURNS text
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
  is_by_update boolean := p_query ->> 'sort' IN ('updatedAt', '-updatedAt');
  column_name text := CASE WHEN is_by_update THEN 'event_at' ELSE 'report_at' END;
  is_descending boolean := p_query ->> 'sort' LIKE '-%';
  known_at timestamptz := p_query ->> 'knownAt';
  -- From here on, in the direction of the list.
  from_at timestamptz := coalesce(
    p_query ->> 'afterAt',
    CASE WHEN NOT is_descending THEN p_query ->> 'from' WHEN NOT is_by_update THEN p_query ->> 'to' END,
    CASE WHEN is_descending THEN 'infinity' ELSE '-infinity' END
  );
  day timestamptz;
  quarter timestamptz;
BEGIN
  IF known_at IS NULL THEN
    RETURN NULL;
  END IF;

  EXECUTE format(
    'SELECT %s(begins_at) FROM learnt WHERE width = ''1 day'' AND %I <= $1 AND begins_at %s',
    CASE WHEN is_descending THEN 'max' ELSE 'min' END,
    column_name,
    CASE WHEN is_descending THEN '<= $2' ELSE '> $2 - interval ''1 day''' END
  ) INTO day USING known_at, from_at;
  IF day IS NULL THEN
    RETURN 'false';
  END IF;

  EXECUTE format(
    'SELECT %s(begins_at) FROM learnt WHERE width = ''15 minutes'' AND %I <= $1 AND begins_at %s'
    ' AND begins_at >= $3 AND begins_at < $3 + interval ''1 day''',
    CASE WHEN is_descending THEN 'max' ELSE 'min' END,
    column_name,
    CASE WHEN is_descending THEN '<= $2' ELSE '> $2 - interval ''15 minutes''' END
  ) INTO quarter USING known_at, from_at, day;
  RETURN CASE
    WHEN is_descending THEN
      -- Nothing of the day's part that the list still has: then the day before it, or an earlier one.
      format('%s < %L', p_sort_at, coalesce(quarter + interval '15 minutes', day))
    ELSE
      format('%s >= %L', p_sort_at, coalesce(quarter, day + interval '1 day'))
  END;
END
$$;
