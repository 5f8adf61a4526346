-- The query for a page of incidents, with only the clauses that are asked for: so each combination gets a plan of its own. Of the past it
-- gives the ids and the revisions then.
-- Members of p_query: status, source, severity, assignee, labels, q, from, to, sort, limit, afterAt, afterId, asOf, knownAt.
-- Whatever comes from a caller stands in it as a quoted literal. (A clause without its value is NULL, and is left out.)
CREATE OR REPLACE FUNCTION ledger.list_incidents_sql(p_query jsonb)
RETURNS text
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
  sort_at text := CASE WHEN p_query ->> 'sort' IN ('updatedAt', '-updatedAt') THEN 'i.updated_at' ELSE 'i.reported_at' END;
BEGIN
  IF p_query ?| ARRAY['asOf', 'knownAt'] THEN
    RETURN CASE
      -- Few stand so at any moment, and they may lie far apart.
      WHEN p_query ? 'status' THEN list_past_states_sql(p_query)
      -- Most are still as they were.
      WHEN p_query ->> 'sort' IN ('reportedAt', '-reportedAt') AND p_query ?| ARRAY['severity', 'assignee']
        THEN list_past_holders_sql(p_query)
      -- What last happened to an incident until then is in no order of the present.
      WHEN p_query ->> 'sort' IN ('updatedAt', '-updatedAt') AND (p_query ?| ARRAY['severity', 'assignee'] OR NOT p_query ? 'labels')
        THEN list_past_states_sql(p_query)
      -- What is filtered and sorted by never changes, or is found by the index of the details.
      ELSE list_past_sql(p_query)
    END;
  END IF;

  RETURN concat_ws(
    E'\n',
    'SELECT i.id, i.status, i.severity, i.source, i.origin, i.origin_ref, i.external_key, i.assignee, i.occurred_at, i.reported_at,'
    ' i.updated_at, i.recorded_at, i.acknowledged_at, i.resolved_at, i.revision, i.reopen_count, i.erased, i.details_revision,'
    ' d.title, d.description, d.labels',
    'FROM incident i JOIN incident_details d ON d.incident_id = i.id AND d.revision = i.details_revision',
    'WHERE ' || nullif(array_to_string(list_clauses(p_query, 'i.', 'i', sort_at, 'i.id'), E'\n  AND '), ''),
    list_order(p_query, sort_at, 'i.id')
  );
END
$$;
