SELECT size, note, verifier_keys FROM ledger.newest_note;
