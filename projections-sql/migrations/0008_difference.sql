-- What the last comparison of the whole ledger with the tiles found; null where it found nothing. While it stands, nothing is signed.
ALTER TABLE ledger.notary ADD COLUMN difference text;
