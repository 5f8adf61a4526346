/**
 * The past over HTTP, held to a fold of the events: 890 real incidents, imported years after they happened, and some that were
 * reported and changed since.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type Incident,
  type IncidentId,
  type Instant,
  instantOf,
  reportBody,
  severities,
  sources,
  statuses,
} from '../../src/aggregates/incident/index.ts'
import { serviceNow } from '../../src/cli/import/servicenow.ts'
import type { IncidentRecord, LedgerRecord } from '../../src/ledger/event.ts'
import type { ChangeCommand, Ledger } from '../../src/ledger/ledger.ts'
import { migrate, openPool } from '../../src/projections/database.ts'
import { incidentJson } from '../../src/projections/incident-rows.ts'
import { listedAccessKeyEvent, listedEvent } from '../../src/projections/listed-event.ts'
import { openQueries } from '../../src/projections/queries.ts'
import type { LedgerEvent, PastMoment, SortKey } from '../../src/projections/read-model.ts'
import { rebuild } from '../../src/projections/rebuild.ts'
import { imported, statusesInTheLog, wholeLog } from '../cli/import/importing.ts'
import { openMemoryStore } from '../ledger/support/memory-store.ts'
import { ledgerOn } from '../ledger/support/requests.ts'
import { counted, listed, statesAt } from '../projections/folded.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { call, startService } from './support/service.ts'

const noCache = { get: async () => ({ missed: true }) as const, fill: async () => {} }

let nowMs = Date.UTC(2026, 0, 1)
let ledger: Ledger
let database: TestDatabase
let pool: pg.Pool
let records: readonly LedgerRecord[]
let incidentRecords: readonly IncidentRecord[]
let ids: readonly IncidentId[]

beforeAll(async () => {
  const store = openMemoryStore()
  // Whoever asks for the time finds that some of it has passed.
  ledger = await ledgerOn(store, { clock: () => (nowMs += 250) })
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'log.csv')
  await writeFile(file, gunzipSync(await readFile(wholeLog)))
  await imported(serviceNow, file, store, { ledger })
  await liveOn()
  nowMs += 60_000
  records = await allRecords()
  incidentRecords = records.filter((record) => record.kind === 'incident')
  ids = [...new Set(incidentRecords.map(({ incidentId }) => incidentId))]

  database = await createTestDatabase()
  await migrate(database.url)
  pool = openPool({ databaseUrl: database.url, max: 2 })
  await pool.query("UPDATE projection SET index = $1, event_id = $2 WHERE name = 'incidents'", [
    records.length - 1,
    records.at(-1)?.id,
  ])
  await rebuild({ databaseUrl: database.url, ledger, signal: new AbortController().signal })
})

afterAll(async () => {
  await pool.end()
  await database.drop()
  await ledger.close()
})

test('on the fifteenth of March 2016 at noon it was so, as counting in the file shows', async () => {
  const noon = '2016-03-15T12:00:00.000Z' as Instant
  const byStatus = { new: 29, in_progress: 76, on_hold: 99, resolved: 156, closed: 530 }
  expect(await statusesInTheLog(noon)).toEqual(byStatus)
  const answer = await call(open(), 'GET', `/stats?asOf=${noon}`)
  expect(answer.json()).toMatchObject({ total: 890, byStatus })
})

test('a list, page by page through its cursors, is what the fold lists', async () => {
  const service = open()
  await fc.assert(
    fc.asyncProperty(
      arbitraryFilters(),
      arbitraryMoment(),
      sort,
      limit,
      async (filters, moment, sort, limit) => {
        const expected = listed(records, { ...filters, ...(moment && { moment }), sort })
        const found: unknown[] = []
        let cursor: string | null = null
        do {
          const query = parameters({ ...filters, ...moment, sort, limit, cursor })
          const page = (await call(service, 'GET', `/incidents?${query}`)).json()
          expect(page.items.length).toBeLessThanOrEqual(limit)
          found.push(...page.items)
          cursor = page.nextCursor
        } while (cursor !== null && found.length < longestWalk)
        if (cursor === null) expect(found).toHaveLength(expected.length)
        expect(found).toEqual(expected.slice(0, found.length).map(asJson))
      },
    ),
    { numRuns: 150 },
  )
})

test('statistics are what the fold counts', async () => {
  const service = open()
  const period = fc.record({ from: arbitraryInstant(), to: arbitraryInstant() }, { requiredKeys: [] })
  await fc.assert(
    fc.asyncProperty(period, arbitraryMoment(), async (period, moment) => {
      const answer = await call(service, 'GET', `/stats?${parameters({ ...period, ...moment })}`)
      expect(answer.json()).toEqual(counted(records, { ...period, ...(moment && { moment }) }))
    }),
    { numRuns: 40 },
  )
})

test('an incident stands as the fold has it, and as the list has it', async () => {
  const service = open()
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...ids), arbitraryMoment(), async (id, moment) => {
      const expected = statesAt(recordsOf(id), moment)[0]
      const answer = await call(service, 'GET', `/incidents/${id}?${parameters({ ...moment })}`)
      if (expected === undefined) {
        expect(answer.json()).toMatchObject({ status: 404, type: '/problems/not-yet-reported' })
        return
      }
      expect(answer.body).toBe(incidentJson(expected))
      const { revision } = expected
      expect((await call(service, 'GET', `/incidents/${id}?revision=${revision}`)).body).toBe(answer.body)
    }),
    { numRuns: 200 },
  )
})

test('a difference is what the folds at both ends differ in, each with the event that made it so', async () => {
  const service = open()
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...ids),
      fc.constantFrom('asOf', 'knownAt'),
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
      fc.tuple(fc.boolean(), fc.boolean()),
      async (id, timeLine, places, byTime) => {
        const own = recordsOf(id)
        const [first = 0, last = 0] = places
          .map((place) => Math.round(place * (own.length - 1)))
          .sort((a, b) => a - b)
        // Of events at the same time, all or none have happened.
        const timeOf = ({ event }: IncidentRecord) => (timeLine === 'asOf' ? event.at : event.recordedAt)
        const [from, to] = [first, last].map((revision, end) => {
          const record = own[revision]
          if (!record) throw new Error('there is no such revision')
          if (!byTime[end]) return { value: String(revision), revision }
          return {
            value: timeOf(record),
            revision: own.findLastIndex((one) => timeOf(one) <= timeOf(record)),
          }
        })
        if (!from || !to || from.revision > to.revision) return
        const query = parameters({ from: from.value, to: to.value, timeLine })
        const answer = (await call(service, 'GET', `/incidents/${id}/diff?${query}`)).json()
        expect(answer).toMatchObject({ from: { revision: from.revision }, to: { revision: to.revision } })
        expect(answer.changes.toSorted(byPath)).toEqual(
          differences(own, from.revision, to.revision).toSorted(byPath).map(asJson),
        )
        const notes = own
          .slice(from.revision + 1, to.revision + 1)
          .filter(({ event }) => event.type === 'IncidentNoteAdded')
        expect(answer.notes.map(({ revision }: { revision: number }) => revision)).toEqual(
          notes.map(({ revision }) => revision),
        )
      },
    ),
    { numRuns: 200 },
  )
})

test('events by actor, type, incident and time are those that filtering all of them leaves', async () => {
  const service = open()
  const all: readonly LedgerEvent[] = records.flatMap((record, index): LedgerEvent[] => {
    if (record.kind === 'incident') return [listedEvent(record, index)]
    return record.kind === 'access-key' ? [listedAccessKeyEvent(record, index)] : []
  })
  const ofAccessKeys = all.filter((event) => 'accessKeyId' in event)
  expect(ofAccessKeys.length).toBeGreaterThan(20)
  const some = fc.oneof(fc.constantFrom(...all), fc.constantFrom(...ofAccessKeys))
  const filters = fc
    .record({ event: some, from: arbitraryInstant(), to: arbitraryInstant() })
    .map(({ event, from, to }) => ({
      actorKind: event.actor.kind,
      actorId: event.actor.id,
      type: event.type,
      ...('incidentId' in event ? { incidentId: event.incidentId } : { accessKeyId: event.accessKeyId }),
      from,
      to,
    }))
    .chain((all) => fc.subarray(Object.entries(all), { maxLength: 2 }))
    .map((chosen): EventFilter => Object.fromEntries(chosen))
  await fc.assert(
    fc.asyncProperty(filters, fc.constantFrom('index', '-index'), async (filter, sort) => {
      const expected = all.filter(
        (event) =>
          (!filter.actorKind || event.actor.kind === filter.actorKind) &&
          (!filter.actorId || event.actor.id === filter.actorId) &&
          (!filter.type || event.type === filter.type) &&
          (!filter.incidentId || ('incidentId' in event && event.incidentId === filter.incidentId)) &&
          (!filter.accessKeyId || ('accessKeyId' in event && event.accessKeyId === filter.accessKeyId)) &&
          (!filter.from || event.recordedAt >= filter.from) &&
          (!filter.to || event.recordedAt < filter.to),
      )
      if (sort === '-index') expected.reverse()
      const found: unknown[] = []
      let cursor: string | null = null
      do {
        const query = parameters({ ...filter, sort, limit: 70, cursor })
        const page = (await call(service, 'GET', `/events?${query}`)).json()
        found.push(...page.items)
        cursor = page.nextCursor
      } while (cursor !== null && found.length < longestWalk)
      if (cursor === null) expect(found).toHaveLength(expected.length)
      expect(found).toEqual(expected.slice(0, found.length).map(asJson))
    }),
    { numRuns: 60 },
  )
})

type EventFilter = Partial<
  Record<'actorKind' | 'actorId' | 'type' | 'incidentId' | 'accessKeyId' | 'from' | 'to', string>
>

/** Of a list's items, before the rest of it is taken on trust. */
const longestWalk = 400

function open() {
  const queries = openQueries(pool, noCache)
  return startService({ queries, history: ledger.history, clock: () => nowMs })
}

/** What people do after the import: report, change what they reported, and note on what was imported. */
async function liveOn(): Promise<void> {
  const actor = { kind: 'access-key', id: 'key-1', name: 'Night shift' } as const
  const context = { actor, correlationId: 'a request' }
  const imports = [
    ...new Set((await allRecords()).flatMap((one) => (one.kind === 'incident' ? [one.incidentId] : []))),
  ]
  for (const [n, imported] of imports.slice(0, 60).entries()) {
    const body = reportBody.parse({
      description: `disk ${n} is full`,
      severity: severities[n % severities.length],
      source: sources[n % sources.length],
      assignee: n % 2 ? 'ada' : null,
      labels: { team: n % 3 ? 'storage' : 'network', host: `host-${n % 7}` },
    })
    const { accessKey } = await ledger.accessKeys.issue(
      { name: `key ${n}`, scopes: ['read'], expiresAt: null, requiresSignature: false },
      context,
    )
    if (n % 2) await ledger.accessKeys.revise(accessKey.id, { scopes: ['read', 'write'] }, context)
    if (n % 3 === 0) await ledger.accessKeys.revoke(accessKey.id, context)
    const { incident } = await ledger.incidents.report({ body, origin: 'key-1' }, context)
    const change = (command: ChangeCommand) => ledger.incidents.change(incident.id, command, context)
    await ledger.incidents.change(
      imported,
      { type: 'AddNote', noteId: crypto.randomUUID(), text: 'found again' },
      context,
    )
    await change({ type: 'Revise', body: { labels: { team: 'payments', host: null }, assignee: 'grace' } })
    if (n % 2) await change({ type: 'ChangeStatus', body: { status: 'in_progress' } })
    if (n % 3)
      await change({
        type: 'Revise',
        body: { title: `disk ${n}`, severity: 'critical', labels: { team: 'storage' } },
      })
    if (n % 5) await change({ type: 'ChangeStatus', body: { status: 'resolved' } })
  }
}

async function allRecords(): Promise<readonly LedgerRecord[]> {
  const found: LedgerRecord[] = []
  const stop = new AbortController()
  for await (const batch of ledger.subscribe({ batchSize: 1_000, signal: stop.signal })) {
    found.push(...batch.records)
    if (batch.caughtUp) break
  }
  stop.abort()
  return found
}

const recordsOf = (id: IncidentId) => incidentRecords.filter(({ incidentId }) => incidentId === id)

const sort = fc.constantFrom<SortKey[]>('reportedAt', '-reportedAt', 'updatedAt', '-updatedAt')
const limit = fc.constantFrom(1, 7, 50, 200)

/** The time of an event, on either time line, or a millisecond beside it. */
function arbitraryInstant(): fc.Arbitrary<Instant> {
  return fc
    .tuple(fc.constantFrom(...incidentRecords), fc.boolean(), fc.constantFrom(-1, 0, 1))
    .map(([{ event }, byRecord, ms]) => instantOf(Date.parse(byRecord ? event.recordedAt : event.at) + ms))
}

function arbitraryMoment(): fc.Arbitrary<PastMoment | undefined> {
  const instant = arbitraryInstant()
  return fc.option(fc.oneof(fc.record({ asOf: instant }), fc.record({ knownAt: instant })), {
    nil: undefined,
    freq: 9,
  })
}

function arbitraryFilters() {
  const assignees = [...new Set(statesAt(records).flatMap(({ assignee }) => assignee ?? []))]
  const filters = {
    status: fc.constantFrom(...statuses),
    source: fc.constantFrom(...sources),
    severity: fc.constantFrom(...severities),
    assignee: fc.constantFrom('ada', 'grace', 'nobody', ...assignees),
    labels: fc.constantFrom<Record<string, string>[]>(
      { team: 'storage' },
      { team: 'payments' },
      { team: 'network', host: 'host-3' },
    ),
    q: fc.constantFrom('disk', 'full', 'symptom', 'category 55'),
    from: arbitraryInstant(),
    to: arbitraryInstant(),
  }
  return fc
    .subarray(Object.keys(filters) as (keyof typeof filters)[], { maxLength: 2 }) // keys forgets which there are
    .chain((chosen) => fc.record(Object.fromEntries(chosen.map((name) => [name, filters[name]]))))
}

function parameters(query: Readonly<Record<string, unknown>>): URLSearchParams {
  const pairs = Object.entries(query).flatMap(([name, value]): [string, string][] => {
    if (value === undefined || value === null) return []
    if (name !== 'labels') return [[name, String(value)]]
    return Object.entries(Object(value)).map(([key, label]) => ['label', `${key}:${label}`])
  })
  return new URLSearchParams(pairs)
}

/** As the answer has it. */
const asJson = (value: Incident | object): unknown =>
  JSON.parse('revision' in value && 'eventCount' in value ? incidentJson(value) : JSON.stringify(value))

const byPath = (a: { readonly path: string }, b: { readonly path: string }) => (a.path < b.path ? -1 : 1)

/** Field by field, with the last event in between after which the field was not as before it. */
function differences(own: readonly IncidentRecord[], from: number, to: number) {
  const stateAt = (revision: number) => fields(statesAt(own.slice(0, revision + 1))[0])
  const [before, after] = [stateAt(from), stateAt(to)]
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((path) => before[path] !== after[path])
    .map((path) => {
      const record = own.findLast(
        ({ revision }) =>
          revision > from && revision <= to && stateAt(revision - 1)[path] !== stateAt(revision)[path],
      )
      if (!record) throw new Error(`nothing changed ${path}`)
      const { event, metadata, revision } = record
      return { path, from: before[path], to: after[path], revision, at: event.at, actor: metadata.actor }
    })
}

function fields(incident: Incident | undefined): Record<string, unknown> {
  if (!incident) return {}
  const { title, description, status, severity, assignee, labels } = incident
  return {
    ...{
      '/title': title,
      '/description': description,
      '/status': status,
      '/severity': severity,
      '/assignee': assignee,
    },
    ...Object.fromEntries(Object.entries(labels).map(([name, value]) => [`/labels/${name}`, value])),
  }
}
