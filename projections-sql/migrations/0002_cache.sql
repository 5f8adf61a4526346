-- Where the cache of incidents by id is kept now. The promise that it keeps is argued in src/projections/cache/index.ts.
CREATE TABLE ledger.cache_epoch (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- Who may change this row: a name for one term of leadership, so that an earlier leader's late statement changes nothing.
  leader text,
  -- Counts the retirements, so that a leader's own late opening changes nothing either.
  version bigint NOT NULL DEFAULT 0,
  -- The name of the key space that may be read, never used before or again. Null: no cache may be read.
  epoch text,
  -- The process, or the life of a Redis server, that keeps it.
  place text,
  -- A moment at which the retirement was visible to everyone. Null: open, or it is not known.
  retired_at timestamptz,
  CHECK ((epoch IS NULL) = (place IS NULL)),
  CHECK (epoch IS NULL OR retired_at IS NULL)
);

-- Nobody has read from a cache yet.
INSERT INTO ledger.cache_epoch (retired_at) VALUES ('epoch');
