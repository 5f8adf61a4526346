SELECT index, commit, prepare, event_id, notes_met FROM ledger.notary;
