/**
 * `npm run bench`: each figure beside the same work without us, in one run on one machine, so that the ratio means something
 * where the absolute speed does not. `npm run bench -- post get list visible catch-up` picks some.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts'
import { measureCatchUp } from './catch-up.ts'
import { type LoadResult, request, runLoad } from './load.ts'
import { accessKey, type Running, resultOf, startBareFastify, startRedis, startService } from './processes.ts'

const loadMs = 6_000
const warmUpMs = 2_000
const connections = 64
const catchUpEvents = 200_000
const writesPerSecond = 500

const report = {
  source: 'monitoring',
  severity: 'high',
  description: `Disk of db-1 is 96 % full. ${'The volume grew by 3 GiB in an hour. '.repeat(4)}`,
  labels: { host: 'db-1', region: 'eu-west' },
}
const keyed = { 'x-access-key': accessKey }
const post = request(
  'POST',
  '/incidents',
  { ...keyed, 'content-type': 'application/json' },
  JSON.stringify(report),
)

interface Row {
  readonly what: string
  readonly measured: string
  readonly beside: string
  readonly ratio: string
  readonly aim: string
}

const benches: Record<string, () => Promise<Row[]>> = {
  post: async () => {
    await using service = await startService()
    await runLoad({ port: service.port, connections, durationMs: warmUpMs, next: () => post })
    const posts = await runLoad({ port: service.port, connections, durationMs: loadMs, next: () => post })
    const metadata = {
      $correlationId: crypto.randomUUID(),
      actor: { kind: 'access-key', id: 'x-access-key', name: 'X_ACCESS_KEY' },
      at: new Date().toISOString(),
      recordedAt: new Date().toISOString(),
      schemaVersion: 1,
    }
    const raw = await resultOf(
      'raw-append.ts',
      String(loadMs / 1_000),
      JSON.stringify(report),
      JSON.stringify(metadata),
    )
    const { perSecond } = raw as { perSecond: number }
    return [
      row('POST /incidents, 64 at once, beside the client’s append', rate(posts), perSecond, 0.5, posts),
    ]
  },

  get: async () => {
    const rows: Row[] = []
    {
      await using service = await startService()
      rows.push(
        await besideFastify(
          'GET /incidents/{id}, warm, cache in process',
          service,
          await oneIncident(service),
          0.6,
        ),
      )
    }
    await using redis = await startRedis()
    if (redis === undefined) {
      console.error('GET with Redis is left out: redis-server is not on PATH')
      return rows
    }
    await using service = await startService({ REDIS_URL: redis.url })
    rows.push(
      await besideFastify(
        'GET /incidents/{id}, warm, cache in Redis',
        service,
        await oneIncident(service),
        0.6,
      ),
    )
    return rows
  },

  list: async () => {
    await using service = await startService()
    await runLoad({ port: service.port, connections: 8, durationMs: 1_000, next: () => post })
    return [await besideFastify('GET /incidents?status=new, warm', service, '/incidents?status=new', 0.5)]
  },

  visible: async () => {
    await using service = await startService()
    await runLoad({ port: service.port, connections: 8, durationMs: warmUpMs, next: () => post })
    const latenciesMs = (await visibleLatencies(service)).sort((a, b) => a - b)
    const at = (share: number) => latenciesMs[Math.floor(latenciesMs.length * share)] ?? Number.NaN
    return [
      {
        what: `POST sent → visible in a list, at ${writesPerSecond} writes/s`,
        measured: `p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms (${latenciesMs.length} samples)`,
        beside: '',
        ratio: '',
        aim: 'p99 ≤ 25 ms',
      },
    ]
  },

  'catch-up': async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'incident-ledger-bench-'))
    const postgres = await startEmbeddedPostgres({ dataDir })
    try {
      const result = await measureCatchUp(postgres.url, catchUpEvents)
      const what = `read model catch-up of ${catchUpEvents} events beside COPY of the same rows`
      return [row(what, result.projectedPerSecond, result.copiedPerSecond, 0.4)]
    } finally {
      await postgres.close()
      await rm(dataDir, { recursive: true, force: true })
    }
  },
}

/** Sends writes evenly and, for one in twenty, asks for the list by its own assignee until it is there. */
async function visibleLatencies({ port }: Running): Promise<number[]> {
  const base = `http://127.0.0.1:${port}/incidents`
  const headers = { ...keyed, 'content-type': 'application/json' }
  const write = async (body: object) => {
    const response = await fetch(base, { method: 'POST', headers, body: JSON.stringify(body) })
    await response.arrayBuffer()
    if (response.status !== 201) throw new Error(`a POST answered ${response.status}`)
  }
  const sample = async (n: number) => {
    const assignee = `sample-${n}`
    const sentMs = performance.now()
    const written = write({ ...report, assignee })
    for (;;) {
      const response = await fetch(`${base}?assignee=${assignee}&limit=1`, { headers: keyed })
      const { items } = (await response.json()) as { items: unknown[] }
      if (items.length > 0) break
      await delay(1)
    }
    const visibleMs = performance.now() - sentMs
    await written
    return visibleMs
  }
  const samples: Promise<number>[] = []
  const others: Promise<void>[] = []
  const startMs = performance.now()
  for (let sent = 0; performance.now() - startMs < loadMs; await delay(2)) {
    const due = ((performance.now() - startMs) / 1_000) * writesPerSecond
    for (; sent < due; sent += 1) {
      if (sent % 20 === 0) samples.push(sample(sent))
      else others.push(write(report))
    }
  }
  await Promise.all(others)
  return Promise.all(samples)
}

async function oneIncident({ port }: Running): Promise<string> {
  const headers = { ...keyed, 'content-type': 'application/json' }
  const url = `http://127.0.0.1:${port}/incidents`
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(report) })
  return response.headers.get('location') ?? ''
}

/** The service's answer to a GET beside a bare Fastify that sends the same bytes: twice each, in turn, the better of each. */
async function besideFastify(what: string, service: Running, path: string, aim: number): Promise<Row> {
  const url = `http://127.0.0.1:${service.port}${path}`
  const body = await (await fetch(url, { headers: keyed })).text()
  await using bare = await startBareFastify(body)
  const get = request('GET', path, keyed)
  const load = ({ port }: Running, durationMs: number) =>
    runLoad({ port, connections, durationMs, next: () => get })
  for (const server of [service, bare]) await load(server, warmUpMs)
  const ours: LoadResult[] = []
  const theirs: LoadResult[] = []
  for (let turn = 0; turn < 2; turn += 1) {
    ours.push(await load(service, loadMs / 2))
    theirs.push(await load(bare, loadMs / 2))
  }
  const best = (results: LoadResult[]) => Math.max(...results.map(rate))
  return row(what, best(ours), best(theirs), aim)
}

function rate(result: LoadResult): number {
  if (result.failures > 0) throw new Error(`${result.failures} of ${result.requests} requests were refused`)
  return result.perSecond
}

function row(what: string, measured: number, beside: number, aim: number, load?: LoadResult): Row {
  const perSecond = (value: number) => `${Math.round(value).toLocaleString('en')}/s`
  const latency = load ? ` (p50 ${load.p50Ms.toFixed(1)} ms, p99 ${load.p99Ms.toFixed(1)} ms)` : ''
  return {
    what,
    measured: perSecond(measured) + latency,
    beside: perSecond(beside),
    ratio: (measured / beside).toFixed(2),
    aim: `≥ ${aim}`,
  }
}

const names = process.argv.slice(2)
for (const name of names.length > 0 ? names : Object.keys(benches)) {
  const bench = benches[name]
  if (bench === undefined)
    throw new Error(`there is no bench ${name}: take of ${Object.keys(benches).join(', ')}`)
  for (const { what, measured, beside, ratio, aim } of await bench()) {
    console.log(`${what}\n    ${measured}${beside && `   beside ${beside}   ratio ${ratio}`}   aim ${aim}`)
  }
}
