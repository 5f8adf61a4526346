import { LedgerError } from './errors.ts'
import type { AppendAttempt, EventStore } from './event-store.ts'
import { genesisStream } from './streams.ts'
import { mostGenesisEvents, type Tenure, tenureOf } from './tenure.ts'

/**
 * How long a look at `ledger-genesis` is good for. Who retires a ledger waits for longer than this after he has marked it, and copies
 * what is left after that.
 */
export const leaseMs = 2_000
/** So much before the end of the lease, the next look begins beside the appends. */
const renewalMs = 1_000

export interface GuardedStore extends EventStore {
  /** As of the last look, which this is where there was none yet. Throws `event-store-unavailable`, or Error where it cannot be read. */
  readonly tenure: (timeoutMs: number) => Promise<Tenure>
}

/**
 * An event store that appends to a ledger only as long as it lives there. EventStoreDB has no fence that one could put up on the whole
 * store, and to look before each append would double its cost; so each look is a lease. An append is begun under one, and what
 * makes it exact: it is told as appended only under one, too. For if it is told at a time t, a look that began after t − `leaseMs` found
 * no mark; so the mark came later than that, and the append was in the store before the mark was `leaseMs` old. Who copies the rest after
 * that finds it. An append that a process which slept, or was cut off, makes later than that is told as of unknown outcome.
 * Only differences of each process's own monotonic clock are used.
 */
export function guardedStore(store: EventStore): GuardedStore {
  let tenure: Tenure | undefined
  let until = Number.NEGATIVE_INFINITY
  let looking: Promise<void> | undefined

  async function look(timeoutMs: number): Promise<void> {
    const beganMs = performance.now()
    const events = await store.readStream(genesisStream, { maxCount: mostGenesisEvents }, timeoutMs)
    tenure = tenureOf(events)
    until = beganMs + leaseMs
  }

  function looked(timeoutMs: number): Promise<void> {
    looking ??= look(timeoutMs).finally(() => {
      looking = undefined
    })
    return looking
  }

  /** Undefined: it may be appended to, and that it may was found out less than a lease ago. */
  async function obstacle(timeoutMs: number): Promise<AppendAttempt | undefined> {
    const deadlineMs = performance.now() + timeoutMs
    try {
      // A look under way may have begun too long ago to be of use: then there is another one.
      while (performance.now() >= until || tenure?.state !== 'open') {
        await looked(timeoutMs)
        if (performance.now() > deadlineMs)
          return { outcome: 'unsent', reason: 'the event store is too slow' }
        if (tenure?.state === 'open') continue
        if (tenure?.state === 'retired' || tenure?.state === 'retiring')
          return { outcome: 'retired', to: tenure.to }
        return { outcome: 'refused', reason: 'the event store holds a copy of a ledger that is not complete' }
      }
      if (performance.now() >= until - renewalMs) looked(timeoutMs).catch(() => {})
      return undefined
    } catch (error) {
      return { outcome: 'unsent', reason: reasonOf(error) }
    }
  }

  return {
    ...store,
    tenure: async (timeoutMs) => {
      await looked(timeoutMs)
      return tenure ?? { state: 'open' }
    },
    append: async (stream, events, expectedRevision, timeoutMs) => {
      const before = await obstacle(timeoutMs)
      if (before) return before
      const attempt = await store.append(stream, events, expectedRevision, timeoutMs)
      if (attempt.outcome !== 'appended') return attempt
      const after = await obstacle(timeoutMs)
      return after ? { outcome: 'unknown', reason: 'the ledger may have been retired meanwhile' } : attempt
    },
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof LedgerError && error.fault.code === 'event-store-unavailable')
    return error.fault.reason
  return error instanceof Error ? error.message : String(error)
}
