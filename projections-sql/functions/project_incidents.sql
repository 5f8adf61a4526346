-- Writes what a batch of events changes, and moves the checkpoint over it. p_events, p_access_key_events, p_details, p_incidents
-- and p_unreadable are arrays of objects with the columns of the table they go to; for p_erasures and p_fields see erase_personal_data.
-- The search path decides which read model is meant: the live one, or the one that a rebuild fills.
CREATE OR REPLACE FUNCTION ledger.project_incidents(
  p_name text, p_from json, p_to json, p_far_behind boolean,
  p_events json, p_access_key_events json, p_details json, p_incidents json, p_unreadable json,
  p_erasures json, p_fields jsonb
)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM ledger.advance_checkpoint(p_name, p_from, p_to, p_far_behind);

  WITH added AS (
    INSERT INTO incident_event
    SELECT * FROM json_populate_recordset(NULL::incident_event, p_events)
    RETURNING at, recorded_at, revision
  )
  INSERT INTO learnt (width, begins_at, event_at, report_at)
  SELECT width, date_bin(width, at, 'epoch'), min(recorded_at), min(recorded_at) FILTER (WHERE revision = 0)
  FROM added, unnest(ARRAY[interval '15 minutes', interval '1 day']) width
  GROUP BY 1, 2
  ON CONFLICT (width, begins_at) DO UPDATE
  SET event_at = least(learnt.event_at, excluded.event_at), report_at = least(learnt.report_at, excluded.report_at)
  WHERE excluded.event_at < learnt.event_at OR excluded.report_at < coalesce(learnt.report_at, 'infinity');

  INSERT INTO access_key_event
  SELECT * FROM json_populate_recordset(NULL::access_key_event, p_access_key_events);

  INSERT INTO incident_details (incident_id, revision, title, description, labels)
  SELECT incident_id, revision, title, description, labels
  FROM json_populate_recordset(NULL::incident_details, p_details);

  INSERT INTO incident
  SELECT * FROM json_populate_recordset(NULL::incident, p_incidents)
  ON CONFLICT (id) DO UPDATE
  SET status = excluded.status,
      severity = excluded.severity,
      origin_ref = excluded.origin_ref,
      assignee = excluded.assignee,
      erased = excluded.erased,
      details_revision = excluded.details_revision,
      updated_at = excluded.updated_at,
      recorded_at = excluded.recorded_at,
      acknowledged_at = excluded.acknowledged_at,
      resolved_at = excluded.resolved_at,
      revision = excluded.revision,
      reopen_count = excluded.reopen_count;

  IF json_array_length(p_erasures) > 0 THEN
    PERFORM ledger.erase_personal_data(p_erasures, p_fields);
  END IF;

  INSERT INTO unreadable_event
  SELECT * FROM json_populate_recordset(NULL::unreadable_event, p_unreadable);
END
$$;
