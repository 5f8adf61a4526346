import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { IncidentId, Instant } from '../../src/aggregates/incident/index.ts'
import { connectionConfig, migrate } from '../../src/projections/database.ts'
import { incidentsJson } from '../../src/projections/queries.ts'
import type { IncidentsQuery, SortKey } from '../../src/projections/read-model.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let client: pg.Client

beforeAll(async () => {
  database = await createTestDatabase()
  await migrate(database.url)
  client = new pg.Client(connectionConfig({ databaseUrl: database.url }))
  await client.connect()
  await client.query(hundredThousandIncidents)
  await client.query('VACUUM ANALYZE incident, incident_event, incident_details')
})

afterAll(async () => {
  await client.end()
  await database.drop()
})

const sorts: readonly SortKey[] = ['reportedAt', '-reportedAt', 'updatedAt', '-updatedAt']
const asOf = '2026-01-01T12:00:00.000Z' as Instant

/** Of the 43,200 that were reported by noon, those of the two hours before. */
const underWay = 7_200

const filters: Readonly<Record<string, Partial<IncidentsQuery>>> = {
  'no filter': {},
  status: { status: 'on_hold' },
  source: { source: 'partner' },
  severity: { severity: 'critical' },
  assignee: { assignee: 'person 7' },
  label: { labels: { host: 'host-77' } },
  period: { from: '2026-01-01T06:00:00.000Z' as Instant, to: '2026-01-01T07:00:00.000Z' as Instant },
  'a rare word': { q: 'word4711' },
  'a word of every incident': { q: 'broke' },
  'status and severity': { status: 'in_progress', severity: 'high' },
  'words, status and source': { q: 'broke -word4711', status: 'new', source: 'operator' },
  'assignee, label and period': {
    assignee: 'person 7',
    labels: { host: 'host-7' },
    from: '2026-01-01T02:00:00.000Z' as Instant,
  },
}

for (const [name, filter] of Object.entries(filters)) {
  test.for(sorts)(`${name}, by %s, is answered from an index`, async (sort) => {
    expect(await nodesOf({ ...filter, sort, limit: 50 })).not.toContain('Seq Scan')
  })
}

test.for(sorts)('a page as of a moment, by %s, is answered from an index', async (sort) => {
  expect(await nodesOf({ moment: { asOf }, sort, limit: 50 })).not.toContain('Seq Scan')
  expect(await nodesOf({ moment: { knownAt: asOf }, sort, limit: 50 })).not.toContain('Seq Scan')
})

test.for(sorts)(
  'of the past, what hardly anyone had is found without asking each incident, by %s',
  async (sort) => {
    for (const moment of [{ asOf }, { knownAt: asOf }]) {
      for (const filter of [{ assignee: 'nobody' }, { status: 'new', assignee: 'person 0' }] as const) {
        const plan = await explain(
          'list_incidents_sql',
          incidentsJson({ ...filter, moment, sort, limit: 50 }),
        )
        expect(rowsReadIn(plan)).toBeLessThanOrEqual(2 * underWay)
      }
    }
  },
)

test.for([
  'no filter',
  'status',
  'source',
  'severity',
  'assignee',
  'a word of every incident',
  'status and severity',
  'words, status and source',
])('a page of the past with %s reads of what was under way, and not all that was reported', async (name) => {
  for (const sort of sorts) {
    for (const moment of [{ asOf }, { knownAt: asOf }]) {
      const plan = await explain(
        'list_incidents_sql',
        incidentsJson({ ...filters[name], moment, sort, limit: 50 }),
      )
      const read = rowsReadIn(plan)
      expect({ sort, moment, read, isFew: read <= 3 * underWay }).toMatchObject({ isFew: true })
    }
  }
})

test.for(['no filter', 'status', 'source', 'severity', 'assignee'])(
  'a page with %s costs the same at any depth',
  async (name) => {
    const after = {
      at: '2026-01-01T15:00:00.000Z' as Instant,
      id: '00000000-0000-4000-8000-000000000000' as IncidentId,
    }
    for (const sort of sorts) {
      const query = { ...filters[name], sort, limit: 50 }
      const [first, deep] = [await buffersOf(query), await buffersOf({ ...query, after })]
      // Fifty rows of two tables, each found by its key; the pages they happen to lie on differ.
      expect(deep).toBeLessThan(2 * first)
      expect(await nodesOf({ ...query, after })).not.toContain('Sort')
    }
  },
)

test.for([
  { type: 'IncidentReported' },
  { actorKind: 'access-key', actorId: 'key-3' },
  { incidentId: '00000000-0000-4000-8000-000000000077' },
  { from: '2026-01-01T23:00:00.000Z' },
  {},
])('a page of events with %o is answered from an index', async (filter) => {
  for (const order of ['ascending', 'descending']) {
    const query = JSON.stringify({ ...filter, order, limit: 50, after: 1_000, about: 'incidents' })
    expect(nodes(await explain('list_events_sql', query))).not.toContain('Seq Scan')
  }
})

interface Plan {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Actual Loops': number
  readonly 'Actual Rows': number
  readonly 'Rows Removed by Filter'?: number
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly Plans?: readonly Plan[]
}

async function nodesOf(query: IncidentsQuery): Promise<string[]> {
  return nodes(await explain('list_incidents_sql', incidentsJson(query)))
}

async function buffersOf(query: IncidentsQuery): Promise<number> {
  const plan = await explain('list_incidents_sql', incidentsJson(query))
  return plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
}

async function explain(builder: string, query: string): Promise<Plan> {
  const built = await client.query<{ text: string }>(`SELECT ${builder}($1) AS text`, [query])
  const { rows } = await client.query<{ 'QUERY PLAN': readonly [{ readonly Plan: Plan }] }>(
    `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${built.rows[0]?.text}`,
  )
  const plan = rows[0]?.['QUERY PLAN'][0].Plan
  if (plan === undefined) throw new Error('EXPLAIN answered nothing')
  return plan
}

function nodes(plan: Plan): string[] {
  return plans(plan).map((one) => one['Node Type'])
}

function plans(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(plans)]
}

/** Rows of tables that were looked at. */
function rowsReadIn(plan: Plan): number {
  return plans(plan)
    .filter((one) => one['Relation Name'] !== undefined)
    .reduce(
      (sum, one) => sum + (one['Actual Rows'] + (one['Rows Removed by Filter'] ?? 0)) * one['Actual Loops'],
      0,
    )
}

/** Reported a second apart, of three events each; one in twenty is closed. */
const hundredThousandIncidents = `
  CREATE TEMP TABLE seed AS
  SELECT
    n,
    ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id,
    timestamptz '2026-01-01' + n * interval '1 second' AS at,
    (ARRAY['new', 'in_progress', 'on_hold', 'resolved', 'closed'])[1 + n % 5]::ledger.status AS status,
    (ARRAY['critical', 'high', 'medium', 'low'])[1 + n % 4]::ledger.severity AS severity,
    (ARRAY['operator', 'monitoring', 'partner'])[1 + n % 3]::ledger.source AS source,
    CASE WHEN n % 3 > 0 THEN 'person ' || n % 50 END AS assignee
  FROM generate_series(1, 100000) n;

  INSERT INTO incident
    (id, status, severity, source, origin, assignee, details_revision, occurred_at, reported_at, updated_at, first_recorded_at, recorded_at, revision, reopen_count)
  SELECT id, status, severity, source, 'seed', assignee, 0, at, at, at + interval '2 hours', at, at + interval '2 hours', 2, 0 FROM seed;

  INSERT INTO incident_details (incident_id, revision, title, description, labels)
  SELECT id, 0, 'it broke', 'word' || n || ' broke', jsonb_build_object('host', 'host-' || n % 500) FROM seed;

  INSERT INTO incident_event
    (index, commit, prepare, id, incident_id, revision, type, at, recorded_at, actor_kind, actor_id, actor_name,
     correlation_id, data, status, severity, assignee, details_revision, reopen_count, source, reported_at,
     before_at, before_recorded_at, before_status, before_severity, before_assignee, stood_for, known_for)
  SELECT
    3 * n + r, 3 * n + r, 3 * n + r, gen_random_uuid(), id, r, CASE r WHEN 0 THEN 'IncidentReported' ELSE 'IncidentNoteAdded' END,
    at + r * interval '1 hour', at + r * interval '1 hour', 'access-key', 'key-' || n % 9, 'Ada', 'seed', '{}', status, severity, assignee, 0, 0, source, at,
    CASE WHEN r > 0 THEN at + (r - 1) * interval '1 hour' END, CASE WHEN r > 0 THEN at + (r - 1) * interval '1 hour' END,
    CASE WHEN r > 0 THEN status END, CASE WHEN r > 0 THEN severity END, CASE WHEN r > 0 THEN assignee END,
    -- 4^11 milliseconds are 70 minutes.
    CASE WHEN r > 0 THEN 11 END, CASE WHEN r > 0 THEN 11 END
  FROM seed, generate_series(0, 2) r;

  INSERT INTO learnt (width, begins_at, event_at, report_at)
  SELECT width, date_bin(width, at, 'epoch'), min(recorded_at), min(recorded_at) FILTER (WHERE revision = 0)
  FROM incident_event, unnest(ARRAY[interval '15 minutes', interval '1 day']) width
  GROUP BY 1, 2;
`
