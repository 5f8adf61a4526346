-- Events of ledger streams that are not projected: those that this version cannot read, and the later ones of such an
-- incident, which stands still at the last state that is certain.
CREATE TABLE unreadable_event (
  index bigint PRIMARY KEY,
  commit bigint NOT NULL,
  prepare bigint NOT NULL,
  id uuid NOT NULL,
  stream text NOT NULL,
  revision bigint NOT NULL,
  type text NOT NULL,
  reason text NOT NULL
);
