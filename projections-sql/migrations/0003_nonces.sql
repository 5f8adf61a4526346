-- The nonces of signed requests, where there is no Redis to keep them: each is taken once, in whichever process.
CREATE TABLE ledger.nonce (
  key_id text NOT NULL,
  nonce text NOT NULL,
  -- From then on a signature with it is too old anyway.
  until timestamptz NOT NULL,
  PRIMARY KEY (key_id, nonce)
);
CREATE INDEX nonce_until ON ledger.nonce (until);
