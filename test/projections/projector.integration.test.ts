import { Client } from 'pg'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openReadModel } from '../../src/projections/open.ts'
import type { ReadModel } from '../../src/projections/read-model.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { waitFor } from '../support/wait-for.ts'
import { newIncidentId, report, writer } from './history.ts'
import { type InMemoryLedger, inMemoryLedger } from './in-memory-ledger.ts'

const log = pino({ level: 'silent' })

let database: TestDatabase
let ledger: InMemoryLedger
let readModel: ReadModel

beforeEach(async () => {
  database = await createTestDatabase()
  ledger = inMemoryLedger()
  readModel = await openReadModel({ databaseUrl: database.url, ledger, log })
})

afterEach(async () => {
  await readModel.close()
  await database.drop()
})

test('what is appended is projected, announced and can be read', async () => {
  const stop = new AbortController()
  const projecting = readModel.project(stop.signal)
  const { write, incident } = writer()
  const id = newIncidentId()
  ledger.append(...write(id, report({ description: 'disk full', labels: { bb: '1', a: '2' } })))
  const position = ledger.append(...write(id, { type: 'ChangeStatus', body: { status: 'in_progress' } }))
  while (!(await readModel.announcements.reached(position, 1_000))) await new Promise(setImmediate)

  expect(JSON.parse((await readModel.queries.incident(id))?.json ?? '')).toEqual(incident(id))
  expect(await readModel.queries.incidents({ sort: '-updatedAt', limit: 10 })).toEqual([incident(id)])
  stop.abort()
  await projecting
})

test('Postgres knows how large the read model is as soon as it has caught up, and does not plan for an empty one', async () => {
  for (let n = 0; n < 10_000; n += 1) ledger.append(...writer().write(newIncidentId(), report()))
  const stop = new AbortController()
  const projecting = readModel.project(stop.signal)
  const client = new Client({ connectionString: database.url })
  await client.connect()
  await waitFor(
    async () => {
      const { rows } = await client.query<{ tuples: number }>(
        "SELECT reltuples AS tuples FROM pg_class WHERE oid = 'read_model.incident'::regclass",
      )
      return rows[0]?.tuples === 10_000
    },
    { describe: 'the statistics tell of 10,000 incidents' },
  ).finally(() => client.end())
  stop.abort()
  await projecting
})
