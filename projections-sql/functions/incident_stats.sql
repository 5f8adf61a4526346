-- Counts and durations over the incidents, now or at a moment of the past.
-- Members of p_query: from, to (bounds on reported_at), asOf, knownAt.
CREATE OR REPLACE FUNCTION ledger.incident_stats(p_query jsonb)
RETURNS json
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
  moment text := quote_literal(coalesce(p_query ->> 'asOf', p_query ->> 'knownAt'));
  last_at text := CASE WHEN p_query ? 'knownAt' THEN 'recorded_at' ELSE 'updated_at' END;
  period text := nullif(concat_ws(
    ' AND ',
    'i.reported_at >= ' || quote_literal(p_query ->> 'from'),
    'i.reported_at < ' || quote_literal(p_query ->> 'to')
  ), '');
  duration text := $query$(
    SELECT json_build_object(
      'count', count(*),
      'p50Seconds', percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM %1$I - reported_at)),
      'p95Seconds', percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM %1$I - reported_at))
    )
    FROM chosen
    WHERE %1$I IS NOT NULL
  )$query$;
  stats json;
BEGIN
  EXECUTE concat_ws(
    E'\n',
    'WITH chosen AS MATERIALIZED (',
    'SELECT i.status, i.source, i.severity, i.reported_at, i.acknowledged_at, i.resolved_at FROM incident i',
    'WHERE ' || nullif(concat_ws(' AND ', period, format('i.%I <= ', last_at) || moment), ''),
    -- What something has happened to since stood as after its last event until then.
    CASE WHEN moment IS NOT NULL THEN
      E'UNION ALL\n' || past_states_sql(
        p_query,
        'b.status, e.source, b.severity, e.reported_at, b.acknowledged_at, b.resolved_at',
        'JOIN incident_event b ON b.incident_id = e.incident_id AND b.revision = e.revision - 1',
        list_clauses(p_query, 'b.', 'e', 'e.reported_at', 'e.incident_id'),
        NULL
      )
    END,
    $query$
    ),
    days AS (
      SELECT day, sum(reported)::integer AS reported, sum(resolved)::integer AS resolved
      FROM (
        SELECT reported_at::date AS day, 1 AS reported, 0 AS resolved FROM chosen
        UNION ALL
        SELECT resolved_at::date, 0, 1 FROM chosen WHERE resolved_at IS NOT NULL
      ) happenings
      GROUP BY day
      ORDER BY day DESC
      LIMIT 366
    )
    SELECT json_build_object(
      'total', (SELECT count(*) FROM chosen),
      'byStatus', (SELECT json_object_agg(status, n) FROM (SELECT status, count(*) AS n FROM chosen GROUP BY status) c),
      'bySource', (SELECT json_object_agg(source, n) FROM (SELECT source, count(*) AS n FROM chosen GROUP BY source) c),
      'bySeverity', (SELECT json_object_agg(severity, n) FROM (SELECT severity, count(*) AS n FROM chosen GROUP BY severity) c),
      'byDay', (SELECT json_agg(days ORDER BY day DESC) FROM days),
      'timeToAcknowledge', $query$ || format(duration, 'acknowledged_at') || $query$,
      'timeToResolve', $query$ || format(duration, 'resolved_at') || $query$
    )
    $query$
  ) INTO stats;
  RETURN stats;
END
$$;
