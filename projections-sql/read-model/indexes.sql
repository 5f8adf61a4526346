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

-- Past states in the order of their last change.
CREATE INDEX ON incident_event (at, incident_id);
CREATE INDEX ON incident_event (recorded_at, index);
CREATE INDEX ON incident_event (type, index);
CREATE INDEX ON incident_event (actor_kind, actor_id, index);
