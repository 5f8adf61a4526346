UPDATE ledger.notary SET difference = $1;
