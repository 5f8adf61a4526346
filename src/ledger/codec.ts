import { KeyObject } from 'node:crypto'
import type { Logger } from 'pino'
import { z } from 'zod'
import {
  type IncidentEvent,
  type IncidentEventType,
  type IncidentId,
  incidentEventData,
  personalFields,
} from '../aggregates/incident/index.ts'
import { readAccessKeyEvent } from './access-key-record.ts'
import type { DataKeys } from './data-keys.ts'
import { eventMetadata, type LedgerRecord, type RecordMetadata, storedMetadata } from './event.ts'
import type { ProposedEvent, StoredEvent } from './event-store.ts'
import type { AppendedRecord } from './ledger.ts'
import { BrokenSeal, type Disclosure, disclosuresOf, open, seal } from './seal.ts'
import { incidentOfStream, isIncidentStream } from './streams.ts'
import { currentVersion, type Upcasts, upcast, upcasts } from './upcast.ts'
import type { DataKey } from './vault.ts'

/** Between records and what the event store keeps: this is where personal text is sealed and opened. */
export interface Codec {
  /**
   * All under one key. `erasing`: the keys that an erasure among them gives up.
   * Throws ZodError for a record that it could not read back: an error of ours, caught before it is kept for good.
   */
  readonly encode: (
    records: readonly AppendedRecord[],
    key: DataKey,
    erasing: readonly string[],
  ) => readonly ProposedEvent[]
  /**
   * One record for each event, in order. What was erased is null and named as erased; what cannot be read is told by an
   * UnreadableRecord. Throws `event-store-unavailable` where a key cannot be asked for.
   */
  readonly decode: (events: readonly StoredEvent[]) => Promise<readonly LedgerRecord[]>
  /**
   * What proves the personal text of each event, by field; nothing of one that was erased. Throws BrokenSeal where a text or a commitment was
   * altered, `event-store-unavailable`.
   */
  readonly disclose: (events: readonly StoredEvent[]) => Promise<readonly Disclosures[]>
}

export type Disclosures = Readonly<Record<string, Disclosure>>

export interface CodecTerms {
  readonly keys: Pick<DataKeys, 'find' | 'forget'>
  readonly log: Pick<Logger, 'error'>
  readonly upcasts?: Upcasts
}

type FoundKeys = Awaited<ReturnType<DataKeys['find']>>

const erasureType = 'IncidentPersonalDataErased' satisfies IncidentEventType
/** What the ledger itself adds to the event: the aggregate knows no keys. */
const erasedKeys = z.object({ keyIds: z.array(z.string()) })
const actorName = 'actor.name'

export function openCodec({ keys, log, upcasts: table = upcasts }: CodecTerms): Codec {
  return {
    encode: (records, key, erasing) => records.map((record) => encoded(record, key, erasing)),
    decode: async (events) => {
      const found = await keysOf(events, keys)
      return events.map((event) => {
        const record = decoded(event, found, table)
        if (record.kind === 'unreadable') {
          const { stream, revision, id, reason } = record
          log.error({ stream, revision, eventId: id, reason }, 'an event of the ledger cannot be read')
        }
        return record
      })
    },
    disclose: async (events) => {
      const found = await keysOf(events, keys)
      return events.map((event) => disclosed(event, found))
    },
  }
}

/** The keys that the events' texts need, once what they erase is forgotten. */
async function keysOf(events: readonly StoredEvent[], keys: CodecTerms['keys']): Promise<FoundKeys> {
  const needed = new Set<string>()
  for (const event of events) {
    if (event.type === erasureType) keys.forget(keysErasedBy(event))
    const id = keyIdOf(event)
    if (id !== undefined) needed.add(id)
  }
  return keys.find(needed)
}

/** The keys that an event says are gone. */
export function keysErasedBy({ stream, type, data }: StoredEvent): readonly string[] {
  if (type !== erasureType || !isIncidentStream(stream)) return []
  const read = erasedKeys.safeParse(data)
  return read.success ? read.data.keyIds : []
}

function encoded(
  { id, incidentId, event, metadata: about }: AppendedRecord,
  { id: keyId, key }: DataKey,
  erasing: readonly string[],
): ProposedEvent {
  const { type } = event
  const said = incidentEventData[type].parse(event.data)
  const { actor, traceparent, ...metadata } = eventMetadata.parse(about)
  const personal: readonly string[] = personalFields[type]
  const data: Record<string, unknown> = {}
  const values: Record<string, unknown> = { [actorName]: actor.name }
  for (const [field, value] of Object.entries(said)) (personal.includes(field) ? values : data)[field] = value
  if (type === erasureType) data.keyIds = erasing
  const sealed = seal(values, { incidentId, eventId: id, keyId }, key)
  return {
    id,
    type,
    data: inOrder(data),
    metadata: inOrder({ ...metadata, actor: { id: actor.id, kind: actor.kind }, sealed, traceparent }),
  }
}

/** As canonical JSON has them: then the notary need not sort them. Those that are undefined are no members. */
function inOrder(members: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const sorted: Record<string, unknown> = {}
  for (const name of Object.keys(members).sort())
    if (members[name] !== undefined) sorted[name] = members[name]
  return sorted
}

function decoded(stored: StoredEvent, keys: FoundKeys, table: Upcasts): LedgerRecord {
  const { id, stream, revision, position, type } = stored
  const envelope = { id, stream, revision, position }
  const unreadable = (reason: string) => ({ kind: 'unreadable', type, reason, ...envelope }) as const
  if (!isIncidentStream(stream)) {
    const said = readAccessKeyEvent(stored)
    return typeof said === 'string' ? unreadable(said) : { kind: 'access-key', ...said, ...envelope }
  }
  const reading = read(stored, keys, table)
  return typeof reading === 'string' ? unreadable(reading) : { kind: 'incident', ...reading, ...envelope }
}

function disclosed({ id, stream, metadata }: StoredEvent, keys: FoundKeys): Disclosures {
  const incidentId = incidentOfStream(stream)
  const about = storedMetadata.safeParse(metadata)
  if (!incidentId || !about.success) return {}
  const { sealed } = about.data
  const key = keys.get(sealed.key)
  if (!(key instanceof KeyObject)) return {}
  return disclosuresOf(sealed, { incidentId, eventId: id, keyId: sealed.key }, key)
}

interface Reading {
  readonly incidentId: IncidentId
  readonly event: IncidentEvent
  readonly metadata: RecordMetadata
  readonly keyId: string
  readonly erasedKeyIds?: readonly string[]
}

/** What the event says, or why it cannot be read. No reason repeats a value: it may be personal. */
function read(stored: StoredEvent, keys: FoundKeys, table: Upcasts): Reading | string {
  const { id, stream, type, data, metadata } = stored
  const incidentId = incidentOfStream(stream)
  if (!incidentId) return 'the name of its stream holds no incident id'
  if (!isKnownType(type)) return `no event of an incident is called ${JSON.stringify(type)}`
  const about = storedMetadata.safeParse(metadata)
  if (!about.success) return `metadata: ${complaint(about.error)}`
  const { sealed, actor, ...rest } = about.data
  const { schemaVersion, at, recordedAt } = rest
  const current = currentVersion(type, table)
  if (schemaVersion > current) return `schema version ${schemaVersion} is newer than ${current}`
  if (!isObject(data)) return 'its data is no JSON object'

  const key = keys.get(sealed.key)
  if (key === undefined) return 'its key was not asked for'
  if (isMissing(key)) return key.missing
  const { keyIds: _, ...open } = data
  const said =
    key === 'erased' ? erasedText(sealed.commitments) : opened(sealed, { incidentId, eventId: id }, key)
  if (typeof said === 'string') return said
  const { [actorName]: name, ...texts } = said
  if (name !== null && typeof name !== 'string') return 'metadata: actor.name: is no text'

  const read = shaped(
    type,
    upcastOrNothing(type, schemaVersion, { ...open, ...texts }, table),
    key === 'erased',
  )
  if (typeof read === 'string') return `data: ${read}`
  return {
    incidentId,
    event: { type, at, recordedAt, ...read } as IncidentEvent, // the schema was chosen by the type
    metadata: { ...rest, actor: { ...actor, name } },
    keyId: sealed.key,
    ...(type === erasureType && { erasedKeyIds: keysErasedBy(stored) }),
  }
}

type Found = ReturnType<FoundKeys['get']>

function isMissing(key: NonNullable<Found>): key is Extract<Found, { readonly missing: string }> {
  return typeof key === 'object' && 'missing' in key
}

function erasedText(commitments: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(Object.keys(commitments).map((field) => [field, null]))
}

function opened(
  sealed: z.output<typeof storedMetadata>['sealed'],
  place: { readonly incidentId: string; readonly eventId: string },
  key: KeyObject,
): Readonly<Record<string, unknown>> | string {
  try {
    return open(sealed, { ...place, keyId: sealed.key }, key)
  } catch (error) {
    if (error instanceof BrokenSeal) return `its sealed text was altered: ${error.message}`
    throw error
  }
}

/** The data as the type has it, in the order of its schema, or what is wrong with it. Erased fields are not asked what they hold. */
function shaped(
  type: IncidentEventType,
  data: unknown,
  isErased: boolean,
): { readonly data: unknown; readonly erased?: readonly string[] } | string {
  const schema = incidentEventData[type]
  if (!isErased) {
    const read = schema.safeParse(data)
    return read.success ? { data: read.data } : complaint(read.error)
  }
  if (!isObject(data)) return 'is not of its version'
  const erased = personalFields[type].filter((field) => Object.hasOwn(data, field))
  const others = z.strictObject({
    ...schema.shape,
    ...Object.fromEntries(erased.map((field) => [field, z.null()])),
  })
  const read = others.safeParse(data)
  return read.success ? { data: read.data, ...(erased.length > 0 && { erased }) } : complaint(read.error)
}

/** The key that is needed to read it. */
function keyIdOf({ stream, metadata }: StoredEvent): string | undefined {
  if (!isIncidentStream(stream) || !isObject(metadata)) return undefined
  const { sealed } = metadata
  return isObject(sealed) && typeof sealed.key === 'string' ? sealed.key : undefined
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
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  )
}

function complaint({ issues: [first] }: z.ZodError): string {
  return first ? `${first.path.join('.')}: ${first.message}` : 'not of the expected shape'
}
