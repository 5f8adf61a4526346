/**
 * `npm run bench:large`: whether a million incidents make anything dearer than a thousand do, and what the service needs for them.
 * `npm run bench:large -- --incidents 20000 --only page` takes fewer, and some of the rows. No part of CI.
 */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { writeHistory } from './bulk-history.ts'
import { request, runLoad } from './load.ts'
import { accessKey, caughtUp, startService } from './processes.ts'

const few = 1_000
const million = 1_000_000
/** What a machine with two cores writes and catches up in, in incidents a second: only for the announcement. */
const roughPerSecond = 2_000
const roundMs = 2_000
const rounds = 5
const connections = 4
const dearestRatio = 1.5
const mostMegabytes = 400

const headers = { 'x-access-key': accessKey }
const jsonHeaders = { ...headers, 'content-type': 'application/json' }

/** A ledger of so many incidents, being served. */
interface Served extends AsyncDisposable {
  readonly port: number
  readonly pid: number
  readonly incidents: number
  /** The id of one of as many incidents as the small ledger has, from all over this one: so that caches help both alike. */
  readonly someId: () => string
}

/** What is measured: each request that `next` makes, at both sizes in turn. More are added here. */
const rows: Record<string, { readonly what: string; readonly next: (served: Served) => string }> = {
  report: {
    what: 'a command: POST /incidents',
    next: () => post('/incidents', { source: 'monitoring', description: 'Disk of db-1 is full' }),
  },
  note: {
    what: 'a command: POST /incidents/{id}/notes',
    next: ({ someId }) => post(`/incidents/${someId()}/notes`, { text: 'Moved the logs' }),
  },
  incident: {
    what: 'an incident: GET /incidents/{id}',
    next: ({ someId }) => get(`/incidents/${someId()}`),
  },
  page: {
    what: 'a page: GET /incidents, the first one, no two alike',
    next: () => get(`/incidents?limit=50&to=${moment(Date.UTC(2100, 0, 1), 1e12)}`),
  },
  'page-of-severity': {
    what: 'a page: GET /incidents?severity=, the first one, no two alike',
    next: () => get(`/incidents?limit=50&severity=high&to=${moment(Date.UTC(2100, 0, 1), 1e12)}`),
  },
  'deep-page': {
    what: 'a page: GET /incidents, anywhere in the middle, no two alike',
    next: ({ incidents }) =>
      get(`/incidents?limit=50&to=${moment(Date.UTC(2026, 0, 1) + incidents * 100, incidents * 900)}`),
  },
  history: {
    what: 'a history: GET /incidents/{id}/history',
    next: ({ someId }) => get(`/incidents/${someId()}/history`),
  },
}

const get = (path: string) => request('GET', path, headers)
const post = (path: string, body: object) => request('POST', path, jsonHeaders, JSON.stringify(body))

/** One of so many milliseconds. The incidents of `writeHistory` began a second apart from the beginning of 2026 on. */
function moment(fromMs: number, lengthMs: number): string {
  return new Date(fromMs + Math.floor(Math.random() * lengthMs)).toISOString()
}

const { values } = parseArgs({
  options: {
    incidents: { type: 'string', default: String(million) },
    only: { type: 'string', multiple: true, default: Object.keys(rows) },
  },
})
const many = Number(values.incidents)
if (!Number.isSafeInteger(many) || many < few) throw new Error(`--incidents is a number from ${few} on`)
for (const name of values.only) {
  if (!(name in rows)) throw new Error(`there is no row ${name}: take of ${Object.keys(rows).join(', ')}`)
}
await measure(many, values.only)

async function measure(many: number, names: readonly string[]): Promise<void> {
  const seconds = (2 * many) / roughPerSecond + (names.length * 2 * rounds * roundMs) / 1_000
  console.log(
    `This takes about ${Math.ceil(seconds / 60)} minutes, and ${Math.ceil(many / 400_000)} GB on the disk.`,
  )
  await using small = await serve(few)
  await using large = await serve(many)
  console.log(
    `RSS of the service at ${count(many)} incidents, caught up: ${await rssMegabytes(large.pid)} MB`,
  )
  for (const name of names) {
    const row = rows[name]
    if (row) console.log(await compared(row.what, row.next, small, large))
  }
  const megabytes = await rssMegabytes(large.pid)
  console.log(
    `RSS of the service at ${count(many)} incidents, after all this\n    ${megabytes} MB   aim ≤ ${mostMegabytes} MB`,
  )
}

/** Both sizes in turn, the median of each: what else the machine does meets both. */
async function compared(
  what: string,
  next: (served: Served) => string,
  small: Served,
  large: Served,
): Promise<string> {
  const medians = new Map<Served, number[]>([
    [small, []],
    [large, []],
  ])
  for (let round = 0; round <= rounds; round += 1) {
    for (const [served, found] of medians) {
      const { port } = served
      const result = await runLoad({ port, connections, durationMs: roundMs, next: () => next(served) })
      if (result.failures > 0)
        throw new Error(`${what}: ${result.failures} of ${result.requests} were refused`)
      // The first round warms up.
      if (round > 0) found.push(result.p50Ms)
    }
  }
  const [ofFew = Number.NaN, ofMany = Number.NaN] = [...medians.values()].map(median)
  const ratio = (ofMany / ofFew).toFixed(2)
  return `${what}\n    ${ofMany.toFixed(2)} ms at ${count(large.incidents)}   ${ofFew.toFixed(2)} ms at ${count(small.incidents)}   ratio ${ratio}   aim ≤ ${dearestRatio}`
}

async function serve(incidents: number): Promise<Served> {
  const beganMs = performance.now()
  const dataDir = await mkdtemp(join(tmpdir(), 'incident-ledger-bench-'))
  const secret = randomUUID()
  await using opening = new AsyncDisposableStack()
  opening.defer(() => rm(dataDir, { recursive: true, force: true }))
  const all = await writeHistory({ dataDir: join(dataDir, 'event-store'), secret, incidents, eventsEach: 1 })
  const ids = all.filter((_, n) => n % Math.floor(incidents / few) === 0)
  const writtenMs = performance.now()
  const service = opening.use(
    await startService({
      DATA_DIR: dataDir,
      LEDGER_SECRET: secret,
      LOG_LEVEL: 'error',
      RATE_LIMIT: '100000000',
    }),
  )
  await caughtUp(service.port, headers, incidents - 1)
  const spent = (sinceMs: number, untilMs: number) => `${((untilMs - sinceMs) / 1_000).toFixed(1)} s`
  console.log(
    `${count(incidents)} incidents: written in ${spent(beganMs, writtenMs)}, shown after ${spent(writtenMs, performance.now())} more`,
  )
  const opened = opening.move()
  const { port, pid } = service
  const someId = () => ids[Math.floor(Math.random() * ids.length)] ?? ''
  return { port, pid, incidents, someId, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

async function rssMegabytes(pid: number): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)])
  return Math.round(Number(stdout) / 1_024)
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

function count(incidents: number): string {
  return incidents.toLocaleString('en')
}
