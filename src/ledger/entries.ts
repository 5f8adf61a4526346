/** The ledger as auditors see it: an entry an event, in the ledger's order. */
import type { Logger } from 'pino'
import type { IncidentId } from '../aggregates/incident/index.ts'
import { entryOf } from './entry.ts'
import { LedgerError } from './errors.ts'
import type { LedgerPosition } from './event.ts'
import type { EventStore, StoredEvent } from './event-store.ts'
import { mostEvents } from './incident-journal.ts'
import type { Subscribe } from './ledger.ts'
import { incidentStream, ledgerPrefixes } from './streams.ts'
import { followed } from './subscription.ts'

export interface LedgerEntry {
  /** Of the event. */
  readonly id: string
  readonly stream: string
  readonly revision: number
  readonly position: LedgerPosition
  /** What is signed, as `entryOf` makes it. */
  readonly entry: string
}

export interface EntryBatch {
  readonly entries: readonly LedgerEntry[]
  readonly caughtUp: boolean
}

export interface Entries {
  /** As `Subscribe`, of whatever is stored in the streams of the ledger: the n-th is the one with index n. */
  readonly subscribe: (options: Parameters<Subscribe>[0]) => AsyncIterable<EntryBatch>
  /** All of an incident, oldest first. Throws `incident-not-found`, `event-store-unavailable`. */
  readonly ofIncident: (id: IncidentId) => Promise<readonly LedgerEntry[]>
}

export function openEntries(
  store: EventStore,
  log: Pick<Logger, 'warn' | 'info'>,
  closing: AbortSignal,
  readTimeoutMs: number,
): Entries {
  return {
    async *subscribe(options) {
      for await (const { events, caughtUp } of followed(store, ledgerPrefixes, options, log, closing)) {
        yield { entries: events.map(ledgerEntry), caughtUp }
      }
    },
    async ofIncident(id) {
      const range = { maxCount: mostEvents }
      const events = await store.readStream(incidentStream(id), range, readTimeoutMs)
      if (events.length === 0) throw new LedgerError({ code: 'incident-not-found' })
      return events.map(ledgerEntry)
    },
  }
}

function ledgerEntry(event: StoredEvent): LedgerEntry {
  const { id, stream, revision, position } = event
  return { id, stream, revision, position, entry: entryOf(event) }
}
