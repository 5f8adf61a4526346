import type { Subscribe } from '../ledger/ledger.ts'

/** What a subscription hands out at a time. */
export type LedgerBatch = ReturnType<Subscribe> extends AsyncIterable<infer Batch> ? Batch : never
