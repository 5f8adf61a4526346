-- What happened, one row an event, and how the incident stood after it: from its own time until that of the next revision.
CREATE TABLE incident_event (
  -- Place in the ledger and in the event store.
  index bigint PRIMARY KEY,
  commit bigint NOT NULL,
  prepare bigint NOT NULL,
  id uuid NOT NULL,
  incident_id uuid NOT NULL,
  revision integer NOT NULL,
  type text NOT NULL,
  at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  actor_kind text NOT NULL,
  actor_id text NOT NULL,
  -- Null where it was erased.
  actor_name text,
  correlation_id text NOT NULL,
  data json NOT NULL,
  -- The fields of data that were erased; null where none was.
  erased_fields text[],
  -- The part of the state that events change.
  status ledger.status NOT NULL,
  severity ledger.severity NOT NULL,
  assignee text,
  details_revision integer NOT NULL,
  acknowledged_at timestamptz,
  resolved_at timestamptz,
  reopen_count integer NOT NULL,
  erased text[],
  UNIQUE (incident_id, revision)
);
