SELECT entries FROM ledger.entry_bundle WHERE index = $1;
