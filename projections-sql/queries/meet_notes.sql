UPDATE ledger.notary SET notes_met = $1 WHERE notes_met < $1;
