-- Takes note of the spans of time of which these events are the first that the ledger learns. p_events: rows of incident_event.
CREATE OR REPLACE FUNCTION ledger.learn(p_events json)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  INSERT INTO learnt (width, begins_at, event_at, report_at)
  SELECT width, date_bin(width, at, 'epoch'), min(recorded_at), min(recorded_at) FILTER (WHERE revision = 0)
  FROM json_to_recordset(p_events) AS event(at timestamptz, recorded_at timestamptz, revision integer),
    unnest(ARRAY[interval '15 minutes', interval '1 day']) width
  GROUP BY 1, 2
  ON CONFLICT (width, begins_at) DO UPDATE
  SET event_at = least(learnt.event_at, excluded.event_at), report_at = least(learnt.report_at, excluded.report_at)
  WHERE excluded.event_at < learnt.event_at OR excluded.report_at < coalesce(learnt.report_at, 'infinity');
END
$$;
