-- Apart from the tables' own keys, so that a rebuild makes them at its end.

-- A page of the list costs the same at any depth, in either order and with none or one of the filters.
CREATE INDEX ON incident (reported_at, id);
CREATE INDEX ON incident (status, reported_at, id);
CREATE INDEX ON incident (severity, reported_at, id);
CREATE INDEX ON incident (source, reported_at, id);
CREATE INDEX ON incident (assignee, reported_at, id);
CREATE INDEX ON incident (updated_at, id);
CREATE INDEX ON incident (status, updated_at, id);
CREATE INDEX ON incident (severity, updated_at, id);
CREATE INDEX ON incident (source, updated_at, id);
CREATE INDEX ON incident (assignee, updated_at, id);

CREATE INDEX ON incident_details USING gin (search);
CREATE INDEX ON incident_details USING gin (labels jsonb_path_ops);

-- Past states by for how long they stood, and since when. What is rare last: those that do not have it are passed over within the index.
CREATE INDEX ON incident_event (stood_for, before_at, incident_id, before_status, before_assignee) WHERE stood_for > 0;
CREATE INDEX ON incident_event (known_for, before_recorded_at, before_status, before_assignee) WHERE known_for > 0;
-- What is no more as it was.
CREATE INDEX ON incident_event (before_severity, reported_at, incident_id, at, recorded_at) WHERE before_severity <> severity;
CREATE INDEX ON incident_event (before_assignee, reported_at, incident_id, at, recorded_at)
  WHERE before_assignee <> coalesce(assignee, '');

CREATE INDEX ON incident_event (recorded_at, index);
CREATE INDEX ON incident_event (type, index);
CREATE INDEX ON incident_event (actor_kind, actor_id, index);
