import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openReadModel } from '../../src/projections/open.ts'
import type { ReadModel } from '../../src/projections/read-model.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
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
