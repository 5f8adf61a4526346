-- What happened to access keys, one row an event; nothing that opens anything is in it.
CREATE TABLE access_key_event (
  -- Place in the ledger and in the event store.
  index bigint PRIMARY KEY,
  commit bigint NOT NULL,
  prepare bigint NOT NULL,
  id uuid NOT NULL,
  access_key_id uuid NOT NULL,
  revision integer NOT NULL,
  type text NOT NULL,
  at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  actor_kind text NOT NULL,
  actor_id text NOT NULL,
  actor_name text NOT NULL,
  correlation_id text NOT NULL,
  data json NOT NULL,
  UNIQUE (access_key_id, revision)
);
