import { once } from 'node:events'
import type { LedgerPosition, LedgerRecord } from '../../src/ledger/event.ts'
import type { Ledger } from '../../src/ledger/ledger.ts'

/** An envelope's position is the ledger's to give. */
export type Unplaced = LedgerRecord extends infer R
  ? R extends LedgerRecord
    ? Omit<R, 'position'>
    : never
  : never

export interface InMemoryLedger
  extends Pick<Ledger, 'subscribe' | 'readAt' | 'findCopied' | 'completeErasure'> {
  readonly records: readonly LedgerRecord[]
  readonly append: (...records: readonly Unplaced[]) => LedgerPosition
}

/**
 * A ledger that keeps what it is given in memory, and hands it out as `Subscribe` and `ReadAt` promise. `copied`: it was copied from
 * another event store, so that `FindCopied` finds what it has.
 */
export function inMemoryLedger(
  initial: readonly LedgerRecord[] = [],
  { copied = false } = {},
): InMemoryLedger {
  const records: LedgerRecord[] = [...initial]
  const arrivals = new EventTarget()
  const lastCommit = () => records.at(-1)?.position.commit ?? 0n
  return {
    records,
    completeErasure: async () => {},
    append(...added) {
      for (const record of added) {
        const commit = lastCommit() + 100n
        // The position completes the record.
        records.push({ ...record, position: { commit, prepare: commit } } as LedgerRecord)
      }
      arrivals.dispatchEvent(new Event('append'))
      return { commit: lastCommit(), prepare: lastCommit() }
    },
    async *subscribe({ after, batchSize, signal }) {
      let next = after === undefined ? 0 : records.findIndex(({ position }) => position.commit > after.commit)
      if (next === -1) next = records.length
      while (!signal.aborted) {
        if (next < records.length) {
          const batch = records.slice(next, next + batchSize)
          next += batch.length
          yield { records: batch, caughtUp: next === records.length }
        } else {
          await once(arrivals, 'append', { signal }).catch(() => {})
        }
      }
    },
    readAt: async (position) => records.find((record) => record.position.commit === position.commit),
    findCopied: async ({ index, eventId }) => {
      const record = records[index]
      return copied && record?.id === eventId ? record.position : undefined
    },
  }
}
