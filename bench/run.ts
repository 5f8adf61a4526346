/**
 * `npm run bench`: each figure beside the same work without us, in one run on one machine, so that the ratio means something
 * where the absolute speed does not. `npm run bench -- post get list visible catch-up` picks some.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts'
import { measureCatchUp } from './catch-up.ts'
import { request, runLoad } from './load.ts'
import { accessKey, type Running, startBareFastify, startRedis, startService } from './processes.ts'
import { type Comparison, type Contender, inRounds } from './rounds.ts'
import { report } from './sample-report.ts'
import { measureVisibility } from './visible.ts'

const connections = 64
const catchUpEvents = 200_000
const writesPerSecond = 500
const visibleMs = 8_000
const warmUpMs = 3_000

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
  readonly aim: string
}

const benches: Record<string, () => Promise<Row[]>> = {
  post: async () => {
    await using service = await startService()
    await using raw = await startRawAppend()
    const latencies: number[] = []
    const posting: Contender = async (durationMs) => {
      const posted = await load(service, post, durationMs)
      latencies.push(posted.p50Ms)
      return posted.perSecond
    }
    const compared = await inRounds(posting, raw.append)
    const what = `POST /incidents, ${connections} at once (p50 ${latencies.at(-1)?.toFixed(0)} ms), beside the client’s append`
    return [besideRow(what, compared, 0.5)]
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
    const pace = { perSecond: writesPerSecond, warmUpMs, durationMs: visibleMs }
    const { latenciesMs, refused, listsPerSecond } = await measureVisibility(
      service.port,
      keyed,
      report,
      pace,
    )
    const at = (share: number) =>
      (latenciesMs[Math.floor(latenciesMs.length * share)] ?? Number.NaN).toFixed(1)
    return [
      {
        what: `POST sent → visible in a list, at ${writesPerSecond} writes/s and ${Math.round(listsPerSecond)} lists/s`,
        measured: `p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, p99 ${at(0.99)} ms, p99.9 ${at(0.999)} ms (${latenciesMs.length} samples${refused > 0 ? `; ${refused} reports were refused, for the machine was too busy` : ''})`,
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
      const { projectedPerSecond: ours, copiedPerSecond: beside, ratio } = result
      return [besideRow(what, { ours, beside, ratio, ratios: [ratio] }, 0.4)]
    } finally {
      await postgres.close()
      await rm(dataDir, { recursive: true, force: true })
    }
  },
}

async function oneIncident({ port }: Running): Promise<string> {
  const headers = { ...keyed, 'content-type': 'application/json' }
  const url = `http://127.0.0.1:${port}/incidents`
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(report) })
  return response.headers.get('location') ?? ''
}

/** The service's answer to a GET beside a bare Fastify that sends the same bytes. */
async function besideFastify(what: string, service: Running, path: string, aim: number): Promise<Row> {
  const url = `http://127.0.0.1:${service.port}${path}`
  const body = await (await fetch(url, { headers: keyed })).text()
  await using bare = await startBareFastify(body)
  const get = request('GET', path, keyed)
  const ask =
    (server: Running): Contender =>
    async (durationMs) =>
      (await load(server, get, durationMs)).perSecond
  return besideRow(what, await inRounds(ask(service), ask(bare)), aim)
}

async function load({ port }: Running, bytes: string, durationMs: number) {
  const result = await runLoad({ port, connections, durationMs, next: () => bytes })
  if (result.failures > 0) throw new Error(`${result.failures} of ${result.requests} requests were refused`)
  return result
}

/** The event as the service writes it, appended by the client alone. */
async function startRawAppend(): Promise<AsyncDisposable & { readonly append: Contender }> {
  const now = new Date().toISOString()
  const metadata = {
    $correlationId: crypto.randomUUID(),
    actor: { kind: 'access-key', id: 'x-access-key', name: 'X_ACCESS_KEY' },
    at: now,
    recordedAt: now,
    schemaVersion: 1,
  }
  const script = fileURLToPath(new URL('raw-append.ts', import.meta.url))
  const child = fork(script, [JSON.stringify(report), JSON.stringify(metadata)])
  await once(child, 'message')
  return {
    append: async (durationMs) => {
      child.send(durationMs)
      const [perSecond] = await once(child, 'message')
      return Number(perSecond)
    },
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}

function besideRow(what: string, { ours, beside, ratio, ratios }: Comparison, aim: number): Row {
  const perSecond = (value: number) => `${Math.round(value).toLocaleString('en')}/s`
  const range = ratios.length > 1 ? ` (${ratios[0]?.toFixed(2)} to ${ratios.at(-1)?.toFixed(2)})` : ''
  return {
    what,
    measured: `${perSecond(ours)}   beside ${perSecond(beside)}   ratio ${ratio.toFixed(2)}${range}`,
    aim: `≥ ${aim}`,
  }
}

const names = process.argv.slice(2)
console.log(
  `${availableParallelism()} cores, which the load generator and all that is measured share; load average before: ` +
    `${loadavg()[0]?.toFixed(1)}. Ratios are medians of rounds in turn.`,
)
for (const name of names.length > 0 ? names : Object.keys(benches)) {
  const bench = benches[name]
  if (bench === undefined)
    throw new Error(`there is no bench ${name}: take of ${Object.keys(benches).join(', ')}`)
  for (const { what, measured, aim } of await bench()) console.log(`${what}\n    ${measured}   aim ${aim}`)
}
