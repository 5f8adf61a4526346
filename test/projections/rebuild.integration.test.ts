import pg from 'pg'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openReadModel } from '../../src/projections/open.ts'
import type { ReadModel } from '../../src/projections/read-model.ts'
import { rebuild } from '../../src/projections/rebuild.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { waitFor } from '../support/wait-for.ts'
import { keyIssued, newIncidentId, report, writer } from './history.ts'
import { type InMemoryLedger, inMemoryLedger } from './in-memory-ledger.ts'
import { rowsOf } from './read-model-rows.ts'

const log = pino({ level: 'silent' })
const { signal } = new AbortController()

let database: TestDatabase
let ledger: InMemoryLedger
let readModel: ReadModel
let stop: AbortController
let projecting: Promise<void>
let client: pg.Client

beforeEach(async () => {
  database = await createTestDatabase()
  ledger = inMemoryLedger()
  await start()
  client = new pg.Client(database.url)
  client.on('error', () => {})
  await client.connect()
})

afterEach(async () => {
  await halt()
  await client.end()
  await database.drop()
})

test('a rebuild swaps in the same rows while events come in and lists are answered', async () => {
  const { write } = writer()
  const append = () => ledger.append(...write(newIncidentId(), report()))
  for (let count = 0; count < 500; count++) append()
  await shown()

  const done = new AbortController()
  const rebuilding = rebuild({ databaseUrl: database.url, ledger, signal }).finally(() => done.abort())
  let pages = 0
  while (!done.signal.aborted) {
    append()
    const page = await readModel.queries.incidents({ sort: '-reportedAt', limit: 20 })
    expect(page).toHaveLength(20)
    pages += 1
  }
  await rebuilding
  append()
  await shown()

  expect(pages).toBeGreaterThan(0)
  expect(readModel.announcements.current()?.generation).toBe(1)
  const live = await rowsOf(database.url)
  expect(live.incident).toHaveLength(ledger.records.length)
  await rebuild({ databaseUrl: database.url, ledger, signal })
  expect(await rowsOf(database.url)).toEqual(live)
})

test('a read model that another version made is rebuilt by the leader itself', async () => {
  const { write } = writer()
  for (let count = 0; count < 10; count++) ledger.append(...write(newIncidentId(), report()))
  await shown()
  const rows = await rowsOf(database.url)
  await halt()
  await client.query(
    "UPDATE ledger.projection SET version = version - 1; UPDATE read_model.incident SET origin = 'old'",
  )
  await start()
  await waitFor(() => readModel.announcements.current()?.generation === 1, { describe: 'it is rebuilt' })
  expect(await rowsOf(database.url)).toEqual(rows)
})

test('what an interrupted rebuild left is no obstacle to the next one', async () => {
  const { write } = writer()
  for (let count = 0; count < 10; count++) ledger.append(...write(newIncidentId(), report()))
  await shown()
  const interrupted = new Error('interrupted')
  const breaking = {
    async *subscribe() {
      yield { records: ledger.records.slice(0, 3), caughtUp: false }
      throw interrupted
    },
  }
  await expect(rebuild({ databaseUrl: database.url, ledger: breaking, signal })).rejects.toBe(interrupted)
  expect(await rebuild({ databaseUrl: database.url, ledger, signal })).toBe(10)
})

test('when every connection to Postgres is cut, nothing is skipped or taken in twice', async () => {
  const { write } = writer()
  for (let cut = 0; cut < 3; cut++) {
    for (let count = 0; count < 50; count++) ledger.append(...write(newIncidentId(), report()))
    await client.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    )
  }
  await shown()
  const live = await rowsOf(database.url)
  expect(live.incident_event).toHaveLength(150)
  await rebuild({ databaseUrl: database.url, ledger, signal })
  expect(await rowsOf(database.url)).toEqual(live)
})

test('a rebuild has the events of access keys as the live one has them', async () => {
  const { write } = writer()
  for (let count = 0; count < 20; count++) {
    ledger.append(keyIssued(), ...write(newIncidentId(), report()))
  }
  await shown()
  const live = await rowsOf(database.url)
  expect(live.access_key_event).toHaveLength(20)
  expect(JSON.stringify(live.access_key_event)).not.toContain('digest')
  const listed = await readModel.queries.ledgerEvents({ order: 'ascending', limit: 100 })
  expect(listed.map(({ index }) => index)).toEqual(ledger.records.map((_, index) => index))
  await rebuild({ databaseUrl: database.url, ledger, signal })
  expect(await rowsOf(database.url)).toEqual(live)
  expect(await readModel.queries.ledgerEvents({ order: 'ascending', limit: 100 })).toEqual(listed)
})

async function start() {
  stop = new AbortController()
  readModel = await openReadModel({ databaseUrl: database.url, ledger, log })
  projecting = readModel.project(stop.signal)
}

async function halt() {
  stop.abort()
  await projecting
  await readModel.close()
}

async function shown() {
  await waitFor(() => readModel.announcements.current()?.index === ledger.records.length - 1, {
    describe: 'everything is projected and announced',
  })
}
