import * as fc from 'fast-check'
import type pg from 'pg'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  type Incident,
  type IncidentId,
  instantOf,
  severities,
  sources,
  statuses,
} from '../../src/aggregates/incident/index.ts'
import type { IncidentRecord } from '../../src/ledger/event.ts'
import { migrate, openPool } from '../../src/projections/database.ts'
import { openReadModel } from '../../src/projections/open.ts'
import { openQueries } from '../../src/projections/queries.ts'
import type { IncidentsQuery, Queries, SortKey } from '../../src/projections/read-model.ts'
import { rebuild } from '../../src/projections/rebuild.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { waitFor } from '../support/wait-for.ts'
import { counted, listed } from './folded.ts'
import { arbitraryHistory, newIncidentId, report, writer } from './history.ts'
import { inMemoryLedger } from './in-memory-ledger.ts'

const log = pino({ level: 'silent' })
const noCache = { get: async () => ({ missed: true }) as const, fill: async () => {} }
const startMs = Date.UTC(2026, 0, 1)

let database: TestDatabase
let pool: pg.Pool
let queries: Queries

beforeAll(async () => {
  database = await createTestDatabase()
  await migrate(database.url)
  pool = openPool({ databaseUrl: database.url, max: 2 })
  queries = openQueries(pool, noCache)
})

afterAll(async () => {
  await pool.end()
  await database.drop()
})

beforeEach(async () => {
  await pool.query(
    'TRUNCATE access_key_event, incident, incident_event, incident_details, learnt, unreadable_event',
  )
  await pool.query("UPDATE projection SET index = -1, event_id = NULL WHERE name = 'incidents'")
})

/** A moment during a history of 60 steps, a second each, or in the minute before, of which some of it tells. */
const moment = fc.integer({ min: -61, max: 61 }).map((second) => instantOf(startMs + second * 1_000))
const past = fc.oneof(fc.record({ asOf: moment }), fc.record({ knownAt: moment }))
const filters = {
  status: fc.constantFrom(...statuses),
  source: fc.constantFrom(...sources),
  severity: fc.constantFrom(...severities),
  assignee: fc.constantFrom('ada', 'grace', "'; DROP TABLE incident; --"),
  labels: fc.dictionary(fc.constantFrom('team', 'host'), fc.constantFrom('disk', "o'clock"), { maxKeys: 2 }),
  q: fc.constantFrom('disk', 'full node', 'łódź', 'disk -down', 'ERR_42', "o'clock", '%s', "\\' OR 1=1"),
  from: moment,
  to: moment,
}
/** With few filters at once, or there would be little to list. */
const listing = fc
  .subarray(Object.keys(filters) as (keyof typeof filters)[], { maxLength: 2 }) // keys forgets which there are
  .chain((chosen) =>
    fc.record({
      filter: fc.record(Object.fromEntries(chosen.map((name) => [name, filters[name]]))),
      past: fc.option(past, { nil: undefined }),
      sort: fc.constantFrom<SortKey[]>('reportedAt', '-reportedAt', 'updatedAt', '-updatedAt'),
      pageSize: fc.integer({ min: 1, max: 5 }),
    }),
  )

test('pages of any list, now or of the past, are what filtering and sorting the folded states gives', async () => {
  await fc.assert(
    fc.asyncProperty(
      arbitraryHistory,
      fc.array(listing, { minLength: 8, maxLength: 8 }),
      async (history, listings) => {
        const ledger = inMemoryLedger()
        ledger.append(...history)
        await project(ledger)
        for (const { filter, past, sort, pageSize } of listings) {
          const query = { ...filter, ...(past && { moment: past }), sort }
          expect(await allPages(query, pageSize)).toEqual(listed(ledger.records, query))
        }
      },
    ),
    { numRuns: 40 },
  )
})

test('a read model in the form of another version cannot answer now', async () => {
  await using other = await createTestDatabase()
  await migrate(other.url)
  const itsPool = openPool({ databaseUrl: other.url, max: 1 })
  await itsPool.query('ALTER TABLE incident_event DROP COLUMN stood_for')
  const { incidents } = openQueries(itsPool, noCache)
  const asked = incidents({ sort: 'updatedAt', limit: 10, moment: { asOf: instantOf(startMs) } })
  await expect(asked).rejects.toMatchObject({ code: 'read-model-unavailable' })
  await itsPool.end()
})

test('statistics of any period, now or of the past, are what counting the folded states gives', async () => {
  const asked = fc.record({ from: moment, to: moment, moment: past }, { requiredKeys: [] })
  await fc.assert(
    fc.asyncProperty(
      arbitraryHistory,
      fc.array(asked, { minLength: 8, maxLength: 8 }),
      async (history, queried) => {
        const ledger = inMemoryLedger()
        ledger.append(...history)
        await project(ledger)
        for (const query of queried) {
          expect(await queries.stats(query)).toEqual(counted(ledger.records, query))
        }
      },
    ),
    { numRuns: 20 },
  )
})

test('while incidents are being written, paging shows each that stays in place exactly once', async () => {
  const readModelDatabase = await createTestDatabase()
  const ledger = inMemoryLedger()
  const readModel = await openReadModel({ databaseUrl: readModelDatabase.url, ledger, log })
  const stop = new AbortController()
  const projecting = readModel.project(stop.signal)
  const { write } = writer()
  const ids = Array.from({ length: 60 }, newIncidentId)
  for (const id of ids) ledger.append(...write(id, report()))
  const shown = async (index: number) =>
    waitFor(() => readModel.announcements.current()?.index === index, { describe: 'all is shown' })
  await shown(59)

  const seen: IncidentId[] = []
  let after: IncidentsQuery['after']
  for (let page = 0; ; page++) {
    const items = await readModel.queries.incidents({ sort: 'reportedAt', limit: 7, ...(after && { after }) })
    seen.push(...items.map(({ id }) => id))
    const last = items.at(-1)
    if (last === undefined) break
    after = { at: last.reportedAt, id: last.id }
    // Every incident changes between two pages, those already seen and those to come.
    for (const id of ids)
      ledger.append(...write(id, { type: 'AddNote', noteId: newIncidentId(), text: `${page}` }))
    await shown(ledger.records.length - 1)
  }
  expect(seen).toEqual(ids)
  stop.abort()
  await projecting
  await readModel.close()
  await readModelDatabase.drop()
})

test('events are listed by actor, type, incident and time, in either order and from any place', async () => {
  const ledger = inMemoryLedger()
  const { write } = writer()
  const [first, second] = [newIncidentId(), newIncidentId()]
  for (const id of [first, second]) {
    ledger.append(
      ...write(id, report()),
      ...write(id, { type: 'ChangeStatus', body: { status: 'resolved' } }),
    )
  }
  await project(ledger)
  const indexes = async (query: Partial<Parameters<Queries['events']>[0]>) =>
    (await queries.events({ order: 'ascending', limit: 10, ...query })).map(({ index }) => index)

  expect(await indexes({})).toEqual([0, 1, 2, 3])
  expect(await indexes({ order: 'descending', after: 3, limit: 2 })).toEqual([2, 1])
  expect(await indexes({ type: 'IncidentReported' })).toEqual([0, 2])
  expect(await indexes({ incidentId: second, after: 2 })).toEqual([3])
  expect(await indexes({ actorKind: 'access-key', actorId: 'key-1' })).toEqual([1, 3])
  expect(await indexes({ actorKind: 'kafka' })).toEqual([])
  expect(await indexes({ from: instantOf(startMs + 2_000), to: instantOf(startMs + 4_000) })).toEqual([1, 2])
  const [event] = await queries.events({ order: 'ascending', limit: 1 })
  const record = ledger.records[0] as IncidentRecord
  expect(event).toEqual({
    index: 0,
    id: record.id,
    incidentId: first,
    revision: 0,
    type: 'IncidentReported',
    at: record.event.at,
    recordedAt: record.event.recordedAt,
    actor: record.metadata.actor,
    correlationId: record.metadata.$correlationId,
    data: record.event.data,
  })
  expect(await queries.indexesOf(second)).toEqual(
    new Map([
      [0, 2],
      [1, 3],
    ]),
  )
})

test('statistics count what there is, now and at a moment', async () => {
  const ledger = inMemoryLedger()
  const { write } = writer()
  const [first, second] = [newIncidentId(), newIncidentId()]
  ledger.append(...write(first, report({ severity: 'high', source: 'partner' })))
  ledger.append(...write(second, report()))
  ledger.append(...write(first, { type: 'ChangeStatus', body: { status: 'in_progress' } }))
  ledger.append(...write(second, { type: 'ChangeStatus', body: { status: 'resolved' } }))
  await project(ledger)
  const stats = await queries.stats({})
  expect(stats).toMatchObject({
    total: 2,
    byStatus: { new: 0, in_progress: 1, on_hold: 0, resolved: 1, closed: 0 },
    bySource: { operator: 1, monitoring: 0, partner: 1 },
    bySeverity: { critical: 0, high: 1, medium: 1, low: 0 },
    byDay: [{ day: '2026-01-01', reported: 2, resolved: 1 }],
    timeToAcknowledge: { count: 2, p50Seconds: 2, p95Seconds: 2 },
    timeToResolve: { count: 1, p50Seconds: 2, p95Seconds: 2 },
  })
  const before = await queries.stats({ moment: { asOf: instantOf(startMs + 3_500) } })
  expect(before).toMatchObject({
    byStatus: { new: 1, in_progress: 1, resolved: 0 },
    timeToResolve: { count: 0, p50Seconds: null },
  })
  expect(await queries.stats({ to: instantOf(startMs) })).toMatchObject({ total: 0, byDay: [] })
})

test('a query that takes too long is ended, and told from a read model that is not there', async () => {
  const hasty = openPool({ databaseUrl: database.url, max: 1, statementTimeoutMs: 1 })
  const slow = await hasty.query('SELECT pg_sleep(1)').catch((error: unknown) => error)
  expect(slow).toMatchObject({ code: '57014' })
  await hasty.end()
  const nowhere = openPool({ databaseUrl: 'postgres://nobody@127.0.0.1:1/nothing', max: 1 })
  await expect(
    openQueries(nowhere, noCache).incidents({ sort: 'reportedAt', limit: 1 }),
  ).rejects.toMatchObject({
    code: 'read-model-unavailable',
  })
  await nowhere.end()
})

/** By way of a rebuild, which takes in what the checkpoint says is there. */
async function project(ledger: ReturnType<typeof inMemoryLedger>) {
  const last = ledger.records.at(-1)
  await pool.query("UPDATE projection SET index = $1, event_id = $2 WHERE name = 'incidents'", [
    ledger.records.length - 1,
    last?.id ?? null,
  ])
  await rebuild({ databaseUrl: database.url, ledger, signal: new AbortController().signal })
}

async function allPages(query: Omit<IncidentsQuery, 'limit'>, limit: number): Promise<Incident[]> {
  const items: Incident[] = []
  for (;;) {
    const last = items.at(-1)
    const at = query.sort.endsWith('updatedAt') ? last?.updatedAt : last?.reportedAt
    const page = await queries.incidents({
      ...query,
      limit,
      ...(last && at && { after: { at, id: last.id } }),
    })
    items.push(...page)
    if (page.length < limit) return items
  }
}
