import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type IncidentEvent,
  type IncidentId,
  type Instant,
  instantOf,
  severities,
  sources,
  statuses,
} from '../../src/aggregates/incident/index.ts'
import { openCodec } from '../../src/ledger/codec.ts'
import type { StoredEvent } from '../../src/ledger/event-store.ts'
import type { AppendedRecord } from '../../src/ledger/ledger.ts'
import { actor } from './support/requests.ts'

const incidentId = '018bcfe5-6800-7000-8000-000000000001' as IncidentId
const stream = `incident-${incidentId}`
const position = { commit: 7n, prepare: 6n }

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
)

const record = fc.tuple(said, instant, instant, fc.nat(9_999)).map(
  ([event, at, recordedAt, revision]): AppendedRecord => ({
    kind: 'incident',
    id: randomUUID(),
    stream,
    revision,
    incidentId,
    event: { ...event, at, recordedAt } as IncidentEvent, // of one of the shapes above
    metadata: { $correlationId: 'a request', actor, at, recordedAt, schemaVersion: 1 },
  }),
)

/** As the store hands it back: by way of JSON. */
async function stored(one: AppendedRecord): Promise<StoredEvent> {
  const [proposed] = await openCodec().encode([one])
  return { ...JSON.parse(JSON.stringify(proposed)), stream, revision: one.revision, position }
}

test('what is written is read back', async () => {
  await fc.assert(
    fc.asyncProperty(record, async (one) => {
      expect(await openCodec().decode([await stored(one)])).toEqual([{ ...one, position }])
    }),
  )
})

test('what could not be read back is not written', async () => {
  const [one] = fc.sample(record, 1)
  if (!one) throw new Error('no sample')
  const blank = { ...one, event: { type: 'IncidentNoteAdded', data: { noteId: randomUUID(), text: ' ' } } }
  await expect(openCodec().encode([blank as unknown as AppendedRecord])).rejects.toThrow('must not be blank')
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

test('an event of another aggregate has its place, and is not looked into', async () => {
  const event = { ...noteEvent(), stream: 'accessKey-1', type: 'AccessKeyIssued', data: 'anything' }
  expect(await openCodec().decode([event])).toMatchObject([
    { kind: 'other', type: 'AccessKeyIssued', position },
  ])
})

function noteEvent(metadata: object = {}, data: object = { noteId: randomUUID(), text: 'x' }): StoredEvent {
  const at = '2026-01-31T09:00:00.000Z'
  return {
    id: randomUUID(),
    stream,
    revision: 3,
    position,
    type: 'IncidentNoteAdded',
    data,
    metadata: { $correlationId: 'a request', actor, at, recordedAt: at, schemaVersion: 1, ...metadata },
  }
}
