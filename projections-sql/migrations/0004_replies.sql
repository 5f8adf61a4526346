-- How far an integration is in telling people, in their chats, what has become of what they reported there.
CREATE TABLE ledger.replies (
  name text PRIMARY KEY,
  -- What was recorded before is not told any more: when it was first here, or had to begin anew.
  since timestamptz NOT NULL,
  -- The last event that was dealt with: its place in the ledger, -1 for none yet; its place in the event store; its id.
  index bigint NOT NULL DEFAULT -1,
  commit bigint NOT NULL DEFAULT -1,
  prepare bigint NOT NULL DEFAULT -1,
  event_id uuid,
  CHECK ((index = -1) = (event_id IS NULL))
);
