-- What stands outside the schema that a rebuild swaps: the enums, and how far each projection is.
-- (The migration runner makes the schema `ledger`, for its own table is in it too.)

-- Held equal to the enums in src/aggregates/incident/values.ts by a test.
CREATE TYPE ledger.status AS ENUM ('new', 'in_progress', 'on_hold', 'resolved', 'closed');
CREATE TYPE ledger.severity AS ENUM ('critical', 'high', 'medium', 'low');
CREATE TYPE ledger.source AS ENUM ('operator', 'monitoring', 'partner');

-- The checkpoint of each projection: the last event that its rows contain, written in the transaction that writes them.
CREATE TABLE ledger.projection (
  name text PRIMARY KEY,
  -- Of the code that made the rows; another one rebuilds them.
  version integer NOT NULL,
  -- Counts rebuilds.
  generation integer NOT NULL DEFAULT 0,
  -- That event's place in the ledger, -1 for none yet; its place in the event store; its id, by which another store is told.
  index bigint NOT NULL DEFAULT -1,
  commit bigint NOT NULL DEFAULT -1,
  prepare bigint NOT NULL DEFAULT -1,
  event_id uuid,
  -- Whether many events are still to come, so that waiting for one of them is vain.
  far_behind boolean NOT NULL DEFAULT false,
  -- When its leader last said that it lives.
  beat_at timestamptz,
  CHECK ((index = -1) = (event_id IS NULL))
);
