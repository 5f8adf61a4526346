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
  -- Of the incident, which never change.
  source ledger.source NOT NULL,
  reported_at timestamptz NOT NULL,
  -- How the incident stood until this event, and since when, on both time lines. Null in its first one.
  before_at timestamptz,
  before_recorded_at timestamptz,
  before_status ledger.status,
  before_severity ledger.severity,
  before_assignee text,
  -- n where it stood so, and was known to, for less than 4^n milliseconds: so who stood how at a moment is found among what began not long
  -- before it. 22 for anything longer, 0 for no time.
  stood_for smallint,
  known_for smallint,
  UNIQUE (incident_id, revision)
);
