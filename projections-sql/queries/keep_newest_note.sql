-- Never goes back to a smaller one.
INSERT INTO ledger.newest_note (size, note, verifier_keys)
VALUES ($1, $2, $3)
ON CONFLICT (only_row) DO UPDATE
SET size = excluded.size, note = excluded.note, verifier_keys = excluded.verifier_keys
WHERE newest_note.size <= excluded.size;
