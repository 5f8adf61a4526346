/**
 * `node bench/as-of.ts`: what a page of the past, and the statistics of it, cost beside the same of the present, with each filter.
 * `node bench/as-of.ts --incidents 10000` takes fewer. The incidents are imported: they happened over a day, and are recorded in minutes.
 */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { eventsUntilEnd, writeHistory } from './bulk-history.ts'
import { type LoadResult, request, runLoad } from './load.ts'
import { accessKey, caughtUp, startService } from './processes.ts'

const connections = 2
const rounds = 3
const roundMs = 1_000
const dearestRatio = 3
/** Postgres looks once a minute whether its statistics are of a table as it now is: without them it does not know which way is short. */
const autovacuumMs = 90_000

const headers = { 'x-access-key': accessKey }
const pages = [
  '',
  'status=in_progress',
  'status=closed',
  'severity=critical',
  'source=partner',
  'assignee=Person+7',
  'label=host:host-77',
  'q=checkout',
  'status=new&severity=high',
].flatMap((filters) =>
  ['-reportedAt', 'updatedAt'].map((sort) => `/incidents?limit=50&sort=${sort}${filters && `&${filters}`}`),
)

const { values } = parseArgs({ options: { incidents: { type: 'string', default: '100000' } } })
const incidents = Number(values.incidents)
if (!Number.isSafeInteger(incidents) || incidents < 1_000)
  throw new Error('--incidents is a number from 1000 on')
await measure()

async function measure(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'incident-ledger-bench-'))
  await using opened = new AsyncDisposableStack()
  opened.defer(() => rm(dataDir, { recursive: true, force: true }))
  const secret = randomUUID()
  const recordedFromMs = Date.now()
  // So that the present has as many under way as a moment of the past.
  await writeHistory({ dataDir: join(dataDir, 'event-store'), secret, incidents, endsUnderWay: true })
  const recordedUntilMs = Date.now()
  const limits = { LOG_LEVEL: 'error', RATE_LIMIT: '100000000' }
  const service = opened.use(await startService({ DATA_DIR: dataDir, LEDGER_SECRET: secret, ...limits }))
  await caughtUp(service.port, headers, eventsUntilEnd(incidents) - 1)

  await delay(autovacuumMs)

  // The incidents of `writeHistory` began a second apart from the beginning of 2026 on.
  const happened = () => momentIn(Date.UTC(2026, 0, 1), incidents * 1_000)
  const recorded = () => momentIn(recordedFromMs, recordedUntilMs - recordedFromMs)
  for (const path of [...pages, '/stats?']) {
    // No two alike, or the page would be kept.
    const live = () => `${path}&to=${momentIn(Date.UTC(2100, 0, 1), 1e12)}`
    console.log(path)
    for (const [line, past] of [
      ['asOf', () => `${path}&asOf=${happened()}`],
      ['knownAt', () => `${path}&knownAt=${recorded()}`],
    ] as const) {
      const compared = await besideLive(service.port, past, live)
      console.log(`    ${line.padEnd(8)} ${compared}   aim ≤ ${dearestRatio}`)
    }
  }
}

/** In turn, and the median of the rounds: what else the machine does meets both. The first round warms up. */
async function besideLive(port: number, past: () => string, live: () => string): Promise<string> {
  const found = { past: [] as LoadResult[], live: [] as LoadResult[] }
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, path] of [
      ['past', past],
      ['live', live],
    ] as const) {
      const next = () => request('GET', path(), headers)
      const result = await runLoad({ port, connections, durationMs: roundMs, next })
      if (result.failures > 0)
        throw new Error(`${path()}: ${result.failures} of ${result.requests} were refused`)
      if (round > 0) found[name].push(result)
    }
  }
  return (['p50Ms', 'p99Ms'] as const)
    .map((share) => {
      const [ours, beside] = [median(found.past, share), median(found.live, share)]
      return `${share.slice(0, 3)} ${ours.toFixed(2)} ms beside ${beside.toFixed(2)} ms, ratio ${(ours / beside).toFixed(2)}`
    })
    .join('   ')
}

function momentIn(fromMs: number, lengthMs: number): string {
  return new Date(fromMs + Math.floor(Math.random() * lengthMs)).toISOString()
}

function median(results: readonly LoadResult[], share: 'p50Ms' | 'p99Ms'): number {
  return results.map((result) => result[share]).sort((a, b) => a - b)[results.length >> 1] ?? Number.NaN
}
