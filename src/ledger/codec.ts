import type { z } from 'zod'
import {
  type IncidentEvent,
  type IncidentEventType,
  type IncidentId,
  incidentEventData,
} from '../aggregates/incident/index.ts'
import { eventMetadata, type LedgerRecord } from './event.ts'
import type { ProposedEvent, StoredEvent } from './event-store.ts'
import type { AppendedRecord } from './ledger.ts'
import { incidentOfStream, isIncidentStream } from './streams.ts'
import { currentVersion, type Upcasts, upcast, upcasts } from './upcast.ts'

/**
 * Between records and what the event store keeps. Both ways take many at once and may wait: this is where text is sealed and
 * opened.
 */
export interface Codec {
  /** Throws ZodError for a record that it could not read back: an error of ours, caught before it is kept for good. */
  readonly encode: (records: readonly AppendedRecord[]) => Promise<readonly ProposedEvent[]>
  /** One record for each event, in order. What cannot be read is told by an UnreadableRecord; never throws. */
  readonly decode: (events: readonly StoredEvent[]) => Promise<readonly LedgerRecord[]>
}

export function openCodec(table: Upcasts = upcasts): Codec {
  return {
    encode: async (records) => records.map(encoded),
    decode: async (events) => events.map((event) => decoded(event, table)),
  }
}

function encoded({ id, event, metadata }: AppendedRecord): ProposedEvent {
  return {
    id,
    type: event.type,
    data: incidentEventData[event.type].parse(event.data),
    metadata: eventMetadata.parse(metadata),
  }
}

function decoded(stored: StoredEvent, table: Upcasts): LedgerRecord {
  const { id, stream, revision, position, type } = stored
  const envelope = { id, stream, revision, position }
  if (!isIncidentStream(stream)) return { kind: 'other', type, ...envelope }
  const reading = read(stored, table)
  return typeof reading === 'string'
    ? { kind: 'unreadable', type, reason: reading, ...envelope }
    : { kind: 'incident', ...reading, ...envelope }
}

interface Reading {
  readonly incidentId: IncidentId
  readonly event: IncidentEvent
  readonly metadata: z.output<typeof eventMetadata>
}

/** What the event says, or why it cannot be read. No reason repeats a value: it may be personal. */
function read({ stream, type, data, metadata }: StoredEvent, table: Upcasts): Reading | string {
  const incidentId = incidentOfStream(stream)
  if (!incidentId) return 'the name of its stream holds no incident id'
  if (!isKnownType(type)) return `no event of an incident is called ${JSON.stringify(type)}`
  const about = eventMetadata.safeParse(metadata)
  if (!about.success) return `metadata: ${complaint(about.error)}`
  const { schemaVersion, at, recordedAt } = about.data
  const current = currentVersion(type, table)
  if (schemaVersion > current) return `schema version ${schemaVersion} is newer than ${current}`
  if (!isObject(data)) return 'its data is no JSON object'
  const said = incidentEventData[type].safeParse(upcastOrNothing(type, schemaVersion, data, table))
  if (!said.success) return `data: ${complaint(said.error)}`
  const event = { type, data: said.data, at, recordedAt } as IncidentEvent // the schema was chosen by the type
  return { incidentId, event, metadata: about.data }
}

/** A step may stumble over data that was never of its version: then there is nothing that a schema would take. */
function upcastOrNothing(
  type: IncidentEventType,
  version: number,
  data: Readonly<Record<string, unknown>>,
  table: Upcasts,
): unknown {
  try {
    return upcast(type, version, data, table)
  } catch {
    return undefined
  }
}

function isKnownType(type: string): type is IncidentEventType {
  return Object.hasOwn(incidentEventData, type)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function complaint({ issues: [first] }: z.ZodError): string {
  return first ? `${first.path.join('.')}: ${first.message}` : 'not of the expected shape'
}
