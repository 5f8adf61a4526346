-- The current state of each incident. What it is called and labelled is in incident_details.
CREATE TABLE incident (
  id uuid PRIMARY KEY,
  status ledger.status NOT NULL,
  severity ledger.severity NOT NULL,
  source ledger.source NOT NULL,
  origin text NOT NULL,
  origin_ref text,
  external_key text,
  assignee text,
  -- The row of incident_details that holds now.
  details_revision integer NOT NULL,
  occurred_at timestamptz NOT NULL,
  reported_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  -- When the ledger learnt of it, and last learnt anything of it.
  first_recorded_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  acknowledged_at timestamptz,
  resolved_at timestamptz,
  revision integer NOT NULL,
  reopen_count integer NOT NULL,
  -- Which personal fields are gone; null where none is.
  erased text[]
);
