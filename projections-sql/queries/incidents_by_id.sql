SELECT
  i.id, i.status, i.severity, i.source, i.origin, i.origin_ref, i.external_key, i.assignee, i.occurred_at, i.reported_at,
  i.updated_at, i.first_recorded_at, i.recorded_at, i.acknowledged_at, i.resolved_at, i.revision, i.reopen_count, i.erased, i.details_revision,
  d.title, d.description, d.labels
FROM incident i
JOIN incident_details d ON d.incident_id = i.id AND d.revision = i.details_revision
WHERE i.id = ANY ($1::uuid[]);
