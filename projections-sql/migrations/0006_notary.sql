-- The Merkle tree over the ledger, as tiles (C2SP tlog-tiles), and who signs it.

-- How far the tiles are: their last event's place in the ledger, -1 for none; its place in the event store; its id.
CREATE TABLE ledger.notary (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  index bigint NOT NULL DEFAULT -1,
  commit bigint NOT NULL DEFAULT -1,
  prepare bigint NOT NULL DEFAULT -1,
  event_id uuid,
  -- So many of the notes that were ever signed these tiles are known to meet.
  notes_met bigint NOT NULL DEFAULT 0,
  CHECK ((index = -1) = (event_id IS NULL))
);
INSERT INTO ledger.notary DEFAULT VALUES;

-- 32 bytes a hash, at most 256 of them. Hashes cannot be compressed, and parts of entries are to be read by themselves.
CREATE TABLE ledger.tile (
  level smallint NOT NULL,
  index bigint NOT NULL,
  hashes bytea NOT NULL,
  PRIMARY KEY (level, index)
);
ALTER TABLE ledger.tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- At most 256 entries, each with its length in 16 bits before it.
CREATE TABLE ledger.entry_bundle (
  index bigint PRIMARY KEY,
  entries bytea NOT NULL
);
ALTER TABLE ledger.entry_bundle ALTER COLUMN entries SET STORAGE EXTERNAL;

-- What the newest note says, and the keys to check notes with, a line each, the current one first. No rebuild of the tiles touches this: a
-- store that lost events, or its notes with them, is told by it.
CREATE TABLE ledger.newest_note (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  size bigint NOT NULL,
  note text NOT NULL,
  verifier_keys text NOT NULL
);
