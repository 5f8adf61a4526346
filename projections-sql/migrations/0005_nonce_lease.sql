-- Nonces with a lease: a process that alone checks signatures remembers the nonces itself. src/http/signed-requests/nonce-lease.ts argues it.
-- Another name, so that processes of an earlier version, which know of no lease, take no signature any more.
ALTER TABLE ledger.nonce RENAME TO used_nonce;

ALTER TABLE ledger.nonce_memory
  -- The process that has the memory for itself, and until when if it does not say so again.
  ADD COLUMN holder text,
  ADD COLUMN held_until timestamptz,
  ADD CHECK ((holder IS NULL) = (held_until IS NULL));

-- When each process last wanted nonces, to a second.
CREATE UNLOGGED TABLE ledger.nonce_process (
  process text PRIMARY KEY,
  seen_at timestamptz NOT NULL
);
