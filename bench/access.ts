/**
 * What the door costs: GET of the same bytes without a check, with X-Access-Key and with a signature, in turn, signatures by a process that
 * alone checks them and by one of two; and what a flood of wrong keys
 * costs a good caller from another address. `node bench/access.ts`.
 */

import { fork } from 'node:child_process'
import { createHmac, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type LoadResult, request, runLoad } from './load.ts'
import { accessKey, startRedis, startService } from './processes.ts'

const connections = 32
const turns = 5
const turnMs = 2_000
const signedPerTurn = 100_000

interface Guarded {
  readonly port: number
  readonly keyId: string
  readonly secret: string
}

type Kind = 'open' | 'keyed' | 'alone' | 'shared'

async function costOfTheDoor(redisUrl: string | undefined): Promise<void> {
  const child = fork(fileURLToPath(new URL('guarded-app.ts', import.meta.url)), redisUrl ? [redisUrl] : [])
  const [guarded] = (await once(child, 'message')) as [Guarded]
  const load = (next: () => string, durationMs: number) =>
    runLoad({ port: guarded.port, connections, durationMs, next })
  const open = request('GET', '/open', {})
  const keyed = request('GET', '/guarded', { 'x-access-key': accessKey })
  const nextOf: Record<Kind, () => () => string> = {
    open: () => () => open,
    keyed: () => () => keyed,
    alone: () => presigned(guarded),
    shared: () => presigned(guarded),
  }
  const rates: Record<Kind, number[]> = { open: [], keyed: [], alone: [], shared: [] }
  const measure = async (kinds: readonly Kind[]) => {
    // A memory of nonces that has just begun vouches for nothing in its first seconds: until signed requests are taken.
    while ((await load(() => signedGet(guarded), 100)).failures > 0) await delay(500)
    for (const kind of kinds) await load(nextOf[kind](), turnMs)
    for (let turn = 0; turn < turns; turn += 1) {
      for (const kind of kinds) rates[kind].push(rate(await load(nextOf[kind](), turnMs)))
    }
  }
  // It has the memory to itself after the first second in which it checked signatures, and not again once there was another.
  await measure(['open', 'keyed', 'alone'])
  child.send('another')
  await once(child, 'message')
  const plain = median(rates.open)
  rates.open.length = 0
  await measure(['open', 'shared'])
  const memory = redisUrl ? 'Redis' : 'Postgres'
  tell('GET with X-Access-Key', rates.keyed, plain, 'aim ≥ 0.95')
  tell(`GET signed, one process checks, nonces in ${memory}`, rates.alone, plain, 'aim ≥ 0.75')
  tell(`GET signed, two processes check, nonces in ${memory}`, rates.shared, median(rates.open), '')
  child.kill('SIGTERM')
  await once(child, 'exit')
}

/** Signed beforehand: the generator's own hashing is not to be measured. */
function presigned(guarded: Guarded): () => string {
  const ready = Array.from({ length: signedPerTurn }, () => signedGet(guarded))
  return () => ready.pop() ?? signedGet(guarded)
}

function tell(what: string, rates: readonly number[], plain: number, aim: string): void {
  console.log(
    `${what}\n    ${Math.round(median(rates))}/s   beside no check ${Math.round(plain)}/s   ratio ${(median(rates) / plain).toFixed(2)}   ${aim}`.trimEnd(),
  )
}

async function costOfAFlood(): Promise<void> {
  await using service = await startService()
  const good = request('GET', '/incidents?limit=1', { 'x-access-key': accessKey })
  const goodCaller = (durationMs: number) =>
    runLoad({ port: service.port, connections: 1, durationMs, next: () => good, localAddress: '127.0.0.2' })
  await goodCaller(turnMs)
  const alone: number[] = []
  const beside: number[] = []
  let flooded = 0
  for (let turn = 0; turn < turns; turn += 1) {
    alone.push((await goodCaller(turnMs)).p99Ms)
    const flood = fork(fileURLToPath(new URL('flood.ts', import.meta.url)), [
      String(service.port),
      String(turnMs + 500),
    ])
    await once(flood, 'message')
    beside.push((await goodCaller(turnMs)).p99Ms)
    const [{ requests }] = (await once(flood, 'message')) as [{ requests: number }]
    flooded += requests
    await once(flood, 'exit')
  }
  const ratio = median(beside) / median(alone)
  console.log(
    `p99 of a good caller beside a flood of wrong keys and signatures (${Math.round(flooded / turns / ((turnMs + 500) / 1_000))}/s)\n` +
      `    ${median(beside).toFixed(2)} ms   alone ${median(alone).toFixed(2)} ms   ratio ${ratio.toFixed(2)}   aim ≤ 3`,
  )
}

function signedGet({ port, keyId, secret }: Guarded): string {
  const parameters = `("@method" "@target-uri");created=${Math.floor(Date.now() / 1_000)};keyid="${keyId}";nonce="${randomUUID()}"`
  const uri = `http://127.0.0.1:${port}/guarded`
  const base = `"@method": GET\n"@target-uri": ${uri}\n"@signature-params": ${parameters}`
  const signature = createHmac('sha256', secret).update(base).digest('base64')
  const headers = {
    host: `127.0.0.1:${port}`,
    'signature-input': `sig=${parameters}`,
    signature: `sig=:${signature}:`,
  }
  return request('GET', '/guarded', headers)
}

function rate(result: LoadResult): number {
  if (result.failures > 0) throw new Error(`${result.failures} of ${result.requests} requests were refused`)
  return result.perSecond
}

function median(values: readonly number[] = []): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

await costOfTheDoor(undefined)
{
  await using redis = await startRedis()
  if (redis) await costOfTheDoor(redis.url)
}
await costOfAFlood()
