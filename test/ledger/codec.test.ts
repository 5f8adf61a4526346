import { createSecretKey, randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  type IncidentEvent,
  type IncidentId,
  type Instant,
  instantOf,
  personalFields,
  severities,
  sources,
  statuses,
} from '../../src/aggregates/incident/index.ts'
import { openCodec as openCodecWith } from '../../src/ledger/codec.ts'
import type { FoundKey } from '../../src/ledger/data-keys.ts'
import type { StoredEvent } from '../../src/ledger/event-store.ts'
import type { AppendedRecord } from '../../src/ledger/ledger.ts'
import { seal } from '../../src/ledger/seal.ts'
import type { Upcasts } from '../../src/ledger/upcast.ts'
import { actor, silent } from './support/requests.ts'

const incidentId = '018bcfe5-6800-7000-8000-000000000001' as IncidentId
const stream = `incident-${incidentId}`
const position = { commit: 7n, prepare: 6n }

const key = { id: '018bcfe5-6800-7000-8000-000000000003.7', key: createSecretKey(Buffer.alloc(32, 7)) }
/** The vault's state, as far as these tests need one. */
const vault = { found: new Map<string, FoundKey>(), forgotten: [] as string[] }
beforeEach(() => {
  vault.found = new Map([[key.id, key.key]])
  vault.forgotten = []
})

function openCodec(upcasts?: Upcasts) {
  const keys = {
    find: async () =>
      new Map(
        [...vault.found].map(([id, found]) => [id, vault.forgotten.includes(id) ? 'erased' : found] as const),
      ),
    forget: (ids: readonly string[]) => void vault.forgotten.push(...ids),
  }
  return openCodecWith({ keys, log: silent, ...(upcasts && { upcasts }) })
}

const text = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 50 })
  .filter((value) => value.trim() !== '' && value.isWellFormed() && !value.includes('\0'))
const instant = fc
  .integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 })
  .map((epochMs): Instant => instantOf(epochMs))
const labelKey = fc.stringMatching(/^[a-z0-9_.-]{1,20}$/).filter((key) => key !== '__proto__') // which is refused
const labels = fc.dictionary(labelKey, text, { maxKeys: 5 })
const from = fc.constantFrom(...statuses)

const said = fc.oneof(
  fc
    .record(
      {
        title: text,
        description: text,
        severity: fc.constantFrom(...severities),
        source: fc.constantFrom(...sources),
        origin: text,
        originRef: text,
        externalKey: text,
        assignee: fc.option(text),
        labels,
        occurredAt: instant,
      },
      {
        requiredKeys: [
          'title',
          'description',
          'severity',
          'source',
          'origin',
          'assignee',
          'labels',
          'occurredAt',
        ],
      },
    )
    .map((data) => ({ type: 'IncidentReported', data })),
  fc
    .record({ from, to: from, reason: text }, { requiredKeys: ['from', 'to'] })
    .map((data) => ({ type: 'IncidentStatusChanged', data })),
  fc
    .record({ from: fc.option(text), to: fc.option(text) })
    .map((data) => ({ type: 'IncidentAssigned', data })),
  fc
    .record({ title: text, description: text, labels }, { requiredKeys: [] })
    .map((data) => ({ type: 'IncidentDetailsAmended', data })),
  fc.record({ noteId: fc.uuid(), text }).map((data) => ({ type: 'IncidentNoteAdded', data })),
  fc
    .record({ from: fc.constantFrom(...severities), to: fc.constantFrom(...severities) })
    .map((data) => ({ type: 'IncidentSeverityChanged', data })),
)

const record = fc.tuple(said, instant, instant, fc.nat(9_999)).map(
  ([event, at, recordedAt, revision]): AppendedRecord => ({
    kind: 'incident',
    id: randomUUID(),
    stream,
    revision,
    incidentId,
    keyId: key.id,
    event: { ...event, at, recordedAt } as IncidentEvent, // of one of the shapes above
    metadata: { $correlationId: 'a request', actor, at, recordedAt, schemaVersion: 1 },
  }),
)

/** As the store hands it back: by way of JSON. */
async function stored(one: AppendedRecord): Promise<StoredEvent> {
  const [proposed] = openCodec().encode([one], key, [])
  return { ...JSON.parse(JSON.stringify(proposed)), stream, revision: one.revision, position }
}

test('what is written is read back', async () => {
  await fc.assert(
    fc.asyncProperty(record, async (one) => {
      expect(await openCodec().decode([await stored(one)])).toEqual([{ ...one, position }])
    }),
  )
})

test('nothing personal stands in what is written', () => {
  fc.assert(
    fc.property(record, (one) => {
      const secret = structuredClone(one)
      const marked = JSON.parse(JSON.stringify(secret.event.data), (name, value) =>
        ['title', 'description', 'reason', 'text', 'originRef'].includes(name) ? 'Mrs Miller called' : value,
      )
      const [proposed] = openCodec().encode(
        [{ ...secret, event: { ...secret.event, data: marked } as IncidentEvent }],
        key,
        [],
      )
      const written = JSON.stringify(proposed)
      expect(written).not.toContain('Miller')
      expect(written).not.toContain(actor.name)
    }),
  )
})

test('what is erased reads as erased: null, and named, and everything else as it was', async () => {
  await fc.assert(
    fc.asyncProperty(record, async (one) => {
      const event = await stored(one)
      vault.found = new Map([[key.id, 'erased' as const]])
      const [read] = await openCodec().decode([event])
      vault.found = new Map([[key.id, key.key]])
      if (read?.kind !== 'incident') throw new Error(JSON.stringify(read, (_, value) => String(value)))
      const personal = personalFields[one.event.type].filter((field) => Object.hasOwn(one.event.data, field))
      const nulls = Object.fromEntries(personal.map((field) => [field, null]))
      expect(read.event.data).toEqual({ ...one.event.data, ...nulls })
      expect(read.event.erased ?? []).toEqual(personal)
      expect(read.metadata).toEqual({ ...one.metadata, actor: { ...actor, name: null } })
    }),
  )
})

test('an erasure names the keys that it gives up, and they open nothing from there on', async () => {
  const at = instantOf(0)
  const note = { ...(await stored(fc.sample(record, 1)[0] as AppendedRecord)) }
  const other = { id: '018bcfe5-6800-7000-8000-000000000003.8', key: createSecretKey(Buffer.alloc(32, 8)) }
  vault.found.set(other.id, other.key)
  const erasure: AppendedRecord = {
    kind: 'incident',
    id: randomUUID(),
    stream,
    revision: note.revision + 1,
    incidentId,
    keyId: other.id,
    event: { type: 'IncidentPersonalDataErased', data: { reason: 'asked for' }, at, recordedAt: at },
    metadata: { $correlationId: 'a request', actor, at, recordedAt: at, schemaVersion: 1 },
  }
  const [proposed] = openCodec().encode([erasure], other, [key.id])
  if (!proposed) throw new Error('nothing was encoded')
  const kept: StoredEvent = { ...proposed, stream, revision: erasure.revision, position }
  expect(kept.data).toEqual({ keyIds: [key.id] })
  const [before, read] = await openCodec().decode([note, kept])
  expect(before).toMatchObject({ metadata: { actor: { name: null } } })
  expect(read).toEqual({ ...erasure, position, erasedKeyIds: [key.id] })
})

test('a text or a commitment that was altered is an alarm that names the event, never a blank', async () => {
  const alarms: unknown[] = []
  const keys = { find: async () => vault.found, forget: () => {} }
  const { decode } = openCodecWith({ keys, log: { error: (about: unknown) => void alarms.push(about) } })
  const event = noteEvent()
  const metadata = structuredClone(event.metadata) as {
    sealed: { commitments: Record<string, string>; box: string }
  }
  const { text = '' } = metadata.sealed.commitments
  metadata.sealed.commitments.text = `${text.startsWith('A') ? 'B' : 'A'}${text.slice(1)}`
  const [record] = await decode([{ ...event, metadata }])
  expect(record).toMatchObject({
    kind: 'unreadable',
    reason: 'its sealed text was altered: the box does not open',
  })
  expect(alarms).toMatchObject([{ stream, revision: 3, eventId: event.id }])
})

test('a key that is lost, and was not erased, is an alarm as well', async () => {
  vault.found = new Map([[key.id, { missing: 'there is no vault x' }]])
  expect(await openCodec().decode([noteEvent()])).toMatchObject([
    { kind: 'unreadable', reason: 'there is no vault x' },
  ])
})

test('what could not be read back is not written', async () => {
  const [one] = fc.sample(record, 1)
  if (!one) throw new Error('no sample')
  const blank = { ...one, event: { type: 'IncidentNoteAdded', data: { noteId: randomUUID(), text: ' ' } } }
  expect(() => openCodec().encode([blank as unknown as AppendedRecord], key, [])).toThrow('must not be blank')
})

test("a step of upcasting makes today's data of yesterday's, and leaves today's alone", async () => {
  const upcasts = {
    IncidentNoteAdded: [({ note, ...data }: Readonly<Record<string, unknown>>) => ({ ...data, text: note })],
  }
  const { decode } = openCodec(upcasts)
  const noteId = randomUUID()
  const note = (schemaVersion: number, data: object) => noteEvent({ schemaVersion }, { noteId, ...data })
  const [older, newer] = await decode([note(1, { note: 'hello' }), note(2, { text: 'hello' })])
  expect(older).toMatchObject({ kind: 'incident', event: { data: { noteId, text: 'hello' } } })
  expect(newer).toMatchObject({ kind: 'incident', event: { data: { noteId, text: 'hello' } } })
})

describe('an event that cannot be read is told as such', () => {
  const noteId = randomUUID()
  test.each([
    [
      'of an unknown type',
      { ...noteEvent(), type: 'IncidentEaten' },
      'no event of an incident is called "IncidentEaten"',
    ],
    ['called like a member of every object', { ...noteEvent(), type: 'toString' }, 'is called "toString"'],
    ['of a later version', noteEvent({ schemaVersion: 2 }), 'schema version 2 is newer than 1'],
    ['without metadata', { ...noteEvent(), metadata: undefined }, 'metadata'],
    ['at a time that is none', noteEvent({ at: '2026-02-30T00:00:00.000Z' }), 'metadata: at'],
    ['with other data', noteEvent({}, { noteId, text: 'x', more: 1 }), 'data'],
    ['whose text is not sealed', noteEvent({ sealed: undefined }), 'metadata: sealed'],
    [
      'under a key that is none',
      noteEvent({ sealed: { ...sealedNote(randomUUID(), {}), key: 'x' } }),
      'its key was not asked for',
    ],
    [
      'sealed for another event',
      noteEvent({ sealed: sealedNote(randomUUID(), { text: 'x', 'actor.name': 'A' }) }),
      'its sealed text was altered: the box does not open',
    ],
    ['with data that is no object', { ...noteEvent(), data: 'x' }, 'its data is no JSON object'],
    ['on a stream without an id', { ...noteEvent(), stream: 'incident-17' }, 'holds no incident id'],
  ])('%s', async (_, event, reason) => {
    const [record] = await openCodec().decode([event])
    expect(record).toMatchObject({ kind: 'unreadable', type: event.type, revision: 3, position })
    expect(record).toHaveProperty('reason', expect.stringContaining(reason))
  })

  test('without repeating what it says', async () => {
    const [record] = await openCodec().decode([noteEvent({}, { noteId: 'secret', text: 'secret' })])
    expect(record).toMatchObject({ kind: 'unreadable' })
    expect(JSON.stringify(record, (_, value) => (typeof value === 'bigint' ? 0 : value))).not.toContain(
      'secret',
    )
  })
})

test('an event of an access key says who did it', async () => {
  const at = '2026-01-31T09:00:00.000Z'
  const metadata = { $correlationId: 'a request', actor, at, recordedAt: at, schemaVersion: 1 }
  const data = { from: ['read', 'write'], to: ['read'] }
  const keyId = randomUUID()
  const event = { ...noteEvent(), stream: `accessKey-${keyId}`, type: 'AccessKeyRescoped', data, metadata }
  expect(await openCodec().decode([event])).toMatchObject([
    {
      kind: 'access-key',
      keyId,
      event: { type: 'AccessKeyRescoped', data, recordedAt: at },
      metadata,
      position,
    },
  ])
})

test.for([
  ['of no key', { stream: 'accessKey-1' }],
  ['of an unknown type', { type: 'AccessKeyForetold' }],
  ['with other data', { data: { from: ['read'] } }],
  ['of a later version', { metadata: { schemaVersion: 2 } }],
] as const)('an event of an access key %s cannot be read, and has its place', async ([, change]) => {
  const at = '2026-01-31T09:00:00.000Z'
  const metadata = { $correlationId: 'a request', actor, at, recordedAt: at, schemaVersion: 1 }
  const event = {
    ...noteEvent(),
    stream: `accessKey-${randomUUID()}`,
    type: 'AccessKeyRevoked',
    data: {},
    metadata,
    ...change,
  }
  expect(await openCodec().decode([event])).toMatchObject([{ kind: 'unreadable', position }])
})

function noteEvent(
  metadata: object = {},
  { noteId, ...texts }: Record<string, unknown> = { noteId: randomUUID(), text: 'x' },
): StoredEvent {
  const at = '2026-01-31T09:00:00.000Z'
  const id = randomUUID()
  const { name, ...who } = actor
  const sealed = sealedNote(id, { ...texts, 'actor.name': name })
  const about = { $correlationId: 'a request', actor: who, at, recordedAt: at, schemaVersion: 1, sealed }
  return {
    id,
    stream,
    revision: 3,
    position,
    type: 'IncidentNoteAdded',
    data: { noteId },
    metadata: { ...about, ...metadata },
  }
}

function sealedNote(eventId: string, texts: Readonly<Record<string, unknown>>) {
  return seal(texts, { incidentId, eventId, keyId: key.id }, key.key)
}
