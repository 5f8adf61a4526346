import { KeyObject, randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import {
  evolve,
  type IncidentEvent,
  type IncidentId,
  type IncidentState,
  limits,
  unreported,
} from '../aggregates/incident/index.ts'
import { append } from './append.ts'
import type { Codec, Disclosures } from './codec.ts'
import type { DataKeys } from './data-keys.ts'
import { LedgerError } from './errors.ts'
import type { EventMetadata, IncidentRecord, LedgerPosition } from './event.ts'
import type { EventStore } from './event-store.ts'
import type { AppendedRecord } from './ledger.ts'
import { incidentStream } from './streams.ts'
import { currentVersion } from './upcast.ts'
import type { DataKey } from './vault.ts'

/** The streams of incidents, in the domain's words. */
export interface IncidentJournal {
  /**
   * All that happened to the incident, as the store has it now; none where it was never reported.
   * Throws `history-unreadable`, `event-store-unavailable`.
   */
  readonly read: (id: IncidentId) => Promise<readonly IncidentRecord[]>
  /** What proves the personal text of each of its events. Throws `history-unreadable`, `event-store-unavailable`. */
  readonly disclose: (id: IncidentId) => Promise<readonly Disclosures[]>
  readonly exists: (id: IncidentId) => Promise<boolean>
  /**
   * Appends all or none, at exactly the revision (−1: the incident must be new), until `until` of `performance.now()`. `keyIds`: the keys of
   * its events until then that are not erased, the last one at the end. An erasure gives them all up, and they are gone once this resolves;
   * where that fails, a projector will see to it.
   * Throws `outcome-unknown`, `event-store-unavailable`.
   */
  readonly write: (
    id: IncidentId,
    expectedRevision: number,
    entries: readonly JournalEntry[],
    until: number,
    keyIds: readonly string[],
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

/** In the stream of an incident: a full one may be erased, which is one event more. */
export const mostEvents = limits.eventsPerIncident + 1

export function openIncidentJournal(
  store: EventStore,
  codec: Codec,
  keys: Pick<DataKeys, 'take' | 'find' | 'forget' | 'erase'>,
  log: Pick<Logger, 'warn'>,
  readTimeoutMs: number,
): IncidentJournal {
  return {
    read: async (id) => {
      const stream = incidentStream(id)
      const events = await store.readStream(stream, { maxCount: mostEvents }, readTimeoutMs)
      const records = await codec.decode(events)
      return records.map((record, revision) => {
        if (record.kind === 'incident' && record.revision === revision) return record
        throw new LedgerError({ code: 'history-unreadable', stream, revision })
      })
    },

    disclose: async (id) => {
      const stream = incidentStream(id)
      return codec.disclose(await store.readStream(stream, { maxCount: mostEvents }, readTimeoutMs))
    },

    exists: async (id) => {
      const found = await store.readStream(incidentStream(id), { maxCount: 1 }, readTimeoutMs)
      return found.length > 0
    },

    write: async (id, expectedRevision, entries, until, keyIds) => {
      const isErasure = entries.some(({ event }) => event.type === 'IncidentPersonalDataErased')
      const key = (isErasure ? undefined : await lastOf(keyIds)) ?? (await keys.take(until))
      const records = entries.map((entry, i) => recordOf(id, expectedRevision + 1 + i, entry, key.id))
      const proposed = codec.encode(records, key, keyIds)
      const position = await append(store, incidentStream(id), proposed, expectedRevision, until)
      if (position === 'conflict') return position
      if (isErasure) await eraseKeys(id, keyIds)
      return { records, position }
    },
  }

  async function lastOf(keyIds: readonly string[]): Promise<DataKey | undefined> {
    const id = keyIds.at(-1)
    if (id === undefined) return undefined
    const key = (await keys.find(new Set([id]))).get(id)
    return key instanceof KeyObject ? { id, key } : undefined
  }

  async function eraseKeys(incidentId: IncidentId, keyIds: readonly string[]): Promise<void> {
    keys.forget(keyIds)
    try {
      await keys.erase(keyIds, performance.now() + readTimeoutMs)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      log.warn({ incidentId, reason }, 'the keys of an erased incident are left for the projector to remove')
    }
  }
}

function recordOf(
  id: IncidentId,
  revision: number,
  { event, provenance }: JournalEntry,
  keyId: string,
): AppendedRecord {
  const { type, at, recordedAt } = event
  return {
    kind: 'incident',
    id: randomUUID(),
    stream: incidentStream(id),
    revision,
    incidentId: id,
    keyId,
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
