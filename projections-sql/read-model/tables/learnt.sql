-- When this ledger first learnt of anything that happened, and of any incident that was reported, in a span of time: so a list of what was
-- known at a moment begins where something was known. (History is imported long after it happened.)
CREATE TABLE learnt (
  -- A quarter of an hour, or a day.
  width interval NOT NULL,
  begins_at timestamptz NOT NULL,
  event_at timestamptz NOT NULL,
  -- Null where no incident was reported.
  report_at timestamptz,
  PRIMARY KEY (width, begins_at)
);
