-- What an incident was called and labelled from one revision on. Apart from incident and incident_event, because these
-- texts are long and seldom change: a change of status then touches neither them nor the search index.
CREATE TABLE incident_details (
  incident_id uuid NOT NULL,
  revision integer NOT NULL,
  -- Null where they were erased.
  title text,
  description text,
  labels jsonb NOT NULL,
  -- `simple`: words as they are. Reports come in any language, and host names or error codes are no words to be stemmed.
  search tsvector NOT NULL GENERATED ALWAYS AS (
    setweight(to_tsvector('simple', coalesce(title, '')), 'A')
    || setweight(to_tsvector('simple', coalesce(description, '')), 'B')
  ) STORED,
  PRIMARY KEY (incident_id, revision)
);
