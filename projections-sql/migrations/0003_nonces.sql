-- The nonces of signed requests, where there is no Redis to keep them: each is taken once, in whichever process. Unlogged, for they live for
-- minutes only: a Postgres that crashed, or a standby that took over, finds both tables empty. It then begins to remember anew, and what was
-- signed before that is refused.
CREATE UNLOGGED TABLE ledger.nonce (
  key_id text NOT NULL,
  nonce text NOT NULL,
  -- From then on a signature with it is too old anyway.
  until timestamptz NOT NULL,
  PRIMARY KEY (key_id, nonce)
);

CREATE UNLOGGED TABLE ledger.nonce_memory (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  begun_at timestamptz NOT NULL DEFAULT now()
);
-- Nothing was ever signed yet.
INSERT INTO ledger.nonce_memory (begun_at) VALUES ('-infinity');
