import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type IncidentId, personalFields } from '../../src/aggregates/incident/index.ts'
import type { IncidentRecord, LedgerRecord } from '../../src/ledger/event.ts'
import { openReadModel } from '../../src/projections/open.ts'
import type { ReadModel } from '../../src/projections/read-model.ts'
import { rebuild } from '../../src/projections/rebuild.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { waitFor } from '../support/wait-for.ts'
import { newIncidentId, report, writer } from './history.ts'
import { inMemoryLedger } from './in-memory-ledger.ts'
import { rowsOf } from './read-model-rows.ts'

const log = pino({ level: 'silent' })
const { signal } = new AbortController()
const erasure = { type: 'ErasePersonalData', body: { reason: 'request 17' } } as const
const secret = 'Zyxwmiller'

let database: TestDatabase
let ledger: ReturnType<typeof inMemoryLedger>
let readModel: ReadModel
let stop: AbortController
let projecting: Promise<void>

beforeEach(async () => {
  database = await createTestDatabase()
  ledger = inMemoryLedger()
  readModel = await openReadModel({ databaseUrl: database.url, ledger, log })
  stop = new AbortController()
  projecting = readModel.project(stop.signal)
})

afterEach(async () => {
  stop.abort()
  await projecting
  await readModel.close()
  await database.drop()
})

/** Incidents about a person, of which the first is erased in the middle of its history. */
async function history() {
  const { write } = writer()
  const [one, other] = [newIncidentId(), newIncidentId()]
  for (const id of [one, other]) {
    ledger.append(
      ...write(id, report({ description: `${secret} called`, assignee: secret, labels: { who: secret } })),
    )
    ledger.append(...write(id, { type: 'ChangeStatus', body: { status: 'in_progress', reason: secret } }))
    ledger.append(
      ...write(id, { type: 'Revise', body: { title: `${secret} again`, assignee: null, severity: 'low' } }),
    )
    ledger.append(...write(id, { type: 'AddNote', noteId: randomUUID(), text: secret }))
  }
  await shown()
  ledger.append(...write(one, erasure))
  ledger.append(...write(one, { type: 'Revise', body: { title: 'Door broken', labels: { door: '3' } } }))
  await shown()
  return { one, other }
}

test('lists, search, past states, events and history forget what is erased, and it alone', async () => {
  const { one, other } = await history()
  const { queries } = readModel
  expect(JSON.parse((await queries.incident(one))?.json ?? '')).toMatchObject({
    title: 'Door broken',
    description: null,
    assignee: null,
    labels: { door: '3' },
    erased: ['description', 'assignee'],
  })
  const everywhere = [
    await queries.incidents({ sort: 'reportedAt', limit: 10 }),
    ...(await Promise.all(
      ledger.records.flatMap((record) => {
        const at = record.kind === 'incident' ? record.event.at : undefined
        return at === undefined
          ? []
          : [
              queries.incidents({ sort: 'reportedAt', limit: 10, moment: { asOf: at } }),
              queries.incidents({ sort: '-updatedAt', limit: 10, moment: { knownAt: at } }),
            ]
      }),
    )),
  ].flat()
  const ofOne = everywhere.filter(({ id }) => id === one)
  expect(ofOne.length).toBeGreaterThan(5)
  expect(JSON.stringify(ofOne)).not.toContain(secret)
  const first = ofOne.find(({ revision }) => revision === 0)
  expect(first?.erased).toEqual(['title', 'description', 'assignee', 'labels'])
  expect(JSON.stringify(everywhere.filter(({ id }) => id === other))).toContain(secret)

  const found = (more: object) => queries.incidents({ sort: 'reportedAt', limit: 10, ...more })
  for (const search of [{ q: secret }, { labels: { who: secret } }]) {
    expect((await found(search)).map(({ id }) => id)).toEqual([other])
    const moment = { asOf: ofOne[0]?.reportedAt }
    expect((await found({ ...search, moment })).some(({ id }) => id === one)).toBe(false)
  }
  expect(await found({ assignee: secret, moment: { asOf: first?.updatedAt } })).toEqual([])

  const events = await queries.events({ incidentId: one, order: 'ascending', limit: 100 })
  expect(JSON.stringify(events)).not.toContain(secret)
  expect(events[0]).toMatchObject({
    actor: { name: null },
    data: { title: null, description: null, labels: null },
    erased: ['title', 'description', 'assignee', 'labels', 'actor.name'],
  })
  expect(events.at(-1)?.erased).toBeUndefined()
})

test('a rebuild after the erasure, which reads no text any more, makes the same rows', async () => {
  const { one } = await history()
  const live = await rowsOf(database.url)
  const gone = { records: ledger.records.map((record) => erasedSince(record, one)), ...{} }
  const { subscribe } = inMemoryLedger(gone.records)
  expect(
    JSON.stringify(
      gone.records.filter((record) => isOf(record, one)),
      plain,
    ),
  ).not.toContain(secret)
  await rebuild({ databaseUrl: database.url, ledger: { subscribe }, signal })
  expect(await rowsOf(database.url)).toEqual(live)
})

async function shown() {
  const index = ledger.records.length - 1
  await waitFor(() => readModel.announcements.current()?.index === index, {
    describe: 'everything is projected',
  })
}

/** The record as the ledger hands it out once the key of its incident is gone. */
function erasedSince(record: LedgerRecord, id: IncidentId): LedgerRecord {
  if (!isOf(record, id) || record.revision >= erasureRevision(id)) return record
  const { event, metadata } = record
  const data: Record<string, unknown> = { ...event.data }
  const erased = personalFields[event.type].filter((field) => Object.hasOwn(data, field))
  for (const field of erased) data[field] = null
  return {
    ...record,
    event: { ...event, data, ...(erased.length > 0 && { erased }) } as IncidentRecord['event'], // the same type
    metadata: { ...metadata, actor: { ...metadata.actor, name: null } },
  }
}

function isOf(record: LedgerRecord, id: IncidentId): record is IncidentRecord {
  return record.kind === 'incident' && record.incidentId === id
}

function erasureRevision(id: IncidentId): number {
  const found = ledger.records.find(
    (record) => isOf(record, id) && record.event.type === 'IncidentPersonalDataErased',
  )
  return found?.revision ?? 0
}

function plain(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}
