import type { LedgerRecord } from '../ledger/event.ts'
import type { Ledger } from '../ledger/ledger.ts'

const batchSize = 1_000

/** Everything that is in the ledger now, from the first on. */
export async function* recordsOf(
  ledger: Pick<Ledger, 'subscribe'>,
  signal: AbortSignal,
): AsyncGenerator<LedgerRecord> {
  const reading = new AbortController()
  const either = AbortSignal.any([signal, reading.signal])
  try {
    for await (const { records, caughtUp } of ledger.subscribe({ batchSize, signal: either })) {
      yield* records
      if (caughtUp) break
    }
  } finally {
    reading.abort()
  }
  signal.throwIfAborted()
}
