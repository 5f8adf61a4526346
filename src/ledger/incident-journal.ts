import { randomUUID } from 'node:crypto'
import {
  evolve,
  type IncidentEvent,
  type IncidentId,
  type IncidentState,
  limits,
  unreported,
} from '../aggregates/incident/index.ts'
import { append } from './append.ts'
import type { Codec } from './codec.ts'
import { LedgerError } from './errors.ts'
import type { EventMetadata, IncidentRecord, LedgerPosition } from './event.ts'
import type { EventStore } from './event-store.ts'
import type { AppendedRecord } from './ledger.ts'
import { incidentStream } from './streams.ts'
import { currentVersion } from './upcast.ts'

/** The streams of incidents, in the domain's words. */
export interface IncidentJournal {
  /**
   * All that happened to the incident, as the store has it now; none where it was never reported.
   * Throws `history-unreadable`, `event-store-unavailable`.
   */
  readonly read: (id: IncidentId) => Promise<readonly IncidentRecord[]>
  readonly exists: (id: IncidentId) => Promise<boolean>
  /**
   * Appends all or none, at exactly the revision (−1: the incident must be new), until `until` of `performance.now()`.
   * Throws `outcome-unknown`, `event-store-unavailable`.
   */
  readonly write: (
    id: IncidentId,
    expectedRevision: number,
    entries: readonly JournalEntry[],
    until: number,
  ) => Promise<Written | 'conflict'>
}

export interface JournalEntry {
  readonly event: IncidentEvent
  readonly provenance: Provenance
}

/** Who and why: what an event's metadata has beside its times and its version. */
export type Provenance = Omit<EventMetadata, 'at' | 'recordedAt' | 'schemaVersion'>

export interface Written {
  readonly records: readonly AppendedRecord[]
  /** Of the last. */
  readonly position: LedgerPosition
}

export function openIncidentJournal(store: EventStore, codec: Codec, readTimeoutMs: number): IncidentJournal {
  return {
    read: async (id) => {
      const stream = incidentStream(id)
      const events = await store.readStream(stream, { maxCount: limits.eventsPerIncident }, readTimeoutMs)
      const records = await codec.decode(events)
      return records.map((record, revision) => {
        if (record.kind === 'incident' && record.revision === revision) return record
        throw new LedgerError({ code: 'history-unreadable', stream, revision })
      })
    },

    exists: async (id) => {
      const found = await store.readStream(incidentStream(id), { maxCount: 1 }, readTimeoutMs)
      return found.length > 0
    },

    write: async (id, expectedRevision, entries, until) => {
      const records = entries.map((entry, i) => recordOf(id, expectedRevision + 1 + i, entry))
      const proposed = await codec.encode(records)
      const position = await append(store, incidentStream(id), proposed, expectedRevision, until)
      return position === 'conflict' ? position : { records, position }
    },
  }
}

function recordOf(id: IncidentId, revision: number, { event, provenance }: JournalEntry): AppendedRecord {
  const { type, at, recordedAt } = event
  return {
    kind: 'incident',
    id: randomUUID(),
    stream: incidentStream(id),
    revision,
    incidentId: id,
    event,
    metadata: { ...provenance, at, recordedAt, schemaVersion: currentVersion(type) },
  }
}

/** The state that follows when these events happen. Throws `history-unreadable` where no incident can have had them. */
export function stateAfter(
  id: IncidentId,
  records: readonly AppendedRecord[],
  state: IncidentState = unreported,
): IncidentState {
  return records.reduce((before, record) => {
    try {
      return evolve(id, before, record.event)
    } catch (cause) {
      const { stream, revision } = record
      throw new LedgerError({ code: 'history-unreadable', stream, revision }, { cause })
    }
  }, state)
}
