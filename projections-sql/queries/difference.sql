SELECT difference FROM ledger.notary;
