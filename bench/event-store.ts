/**
 * Measures the embedded event store node: `node bench/event-store.ts [events]`. The node runs in a process of its own;
 * the same writes straight into node:sqlite, with the same group commit, stand beside it.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { EventStoreDBClient, START } from '@eventstore/db-client'
import { atOnce, event, perSecond, report, startNode } from './event-store-node.ts'

await measure(Number(process.argv[2] ?? 100_000))

async function measure(eventCount: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'event-store-bench-'))
  const node = await startNode(directory)
  const client = EventStoreDBClient.connectionString(node.url)
  try {
    const node64 = await measureAppends(client)
    await measureLive(client, 1)
    await measureLive(client, 100)
    await measureCatchUp(client, eventCount)
    const raw64 = measureRawSqlite(directory)
    console.log(`64 at once, of what node:sqlite alone makes of it: ${Math.round((100 * node64) / raw64)} %`)
  } finally {
    await client.dispose()
    await node.stop()
    rmSync(directory, { recursive: true })
  }
}

/** Answers the rate of 64 at once. */
async function measureAppends(client: EventStoreDBClient): Promise<number> {
  const one = (n: number) => client.appendToStream(`incident-${n % 1000}`, event(n))
  const unary = (n: number) =>
    client.appendToStream(`incident-${n % 1000}`, event(n), { credentials: { username: 'a', password: 'b' } })
  await atOnce(64, 5000, one)
  report('batch append, one at a time', await atOnce(1, 3000, one))
  const batched = await atOnce(64, 30_000, one)
  report('batch append, 64 at once', batched)
  report('unary append, one at a time', await atOnce(1, 2000, unary))
  report('unary append, 64 at once', await atOnce(64, 10_000, unary))
  const perCall = await atOnce(1, 100, (n) =>
    client.appendToStream(
      `bulk-${n}`,
      Array.from({ length: 500 }, (_, i) => event(n * 500 + i)),
    ),
  )
  report('batch append, 500 events a call', perCall * 500, 'events/s')
  return batched
}

async function measureCatchUp(client: EventStoreDBClient, eventCount: number): Promise<void> {
  for (let written = 0; written < eventCount; written += 1000) {
    await client.appendToStream(
      'catch-up',
      Array.from({ length: 1000 }, (_, i) => event(written + i)),
    )
  }
  const subscription = client.subscribeToAll({ fromPosition: START })
  const started = performance.now()
  let seen = 0
  for await (const _ of subscription) if (++seen === eventCount) break
  report('subscribeToAll, catching up', perSecond(eventCount, started), 'events/s')
  await subscription.unsubscribe()
  const readStarted = performance.now()
  let read = 0
  for await (const _ of client.readAll({ maxCount: eventCount })) read += 1
  report('readAll forwards', perSecond(read, readStarted), 'events/s')
}

async function measureLive(client: EventStoreDBClient, subscribers: number): Promise<void> {
  const arrivals: (() => void)[] = []
  const subscriptions = Array.from({ length: subscribers }, (_, index) => {
    const subscription = client.subscribeToAll({ fromPosition: 'end' })
    if (index === 0) subscription.on('data', () => arrivals.shift()?.())
    else subscription.resume()
    return subscription
  })
  await Promise.all(subscriptions.map((subscription) => once(subscription, 'caughtUp')))
  const latencies: number[] = []
  for (let n = 0; n < 1000; n += 1) {
    const arrived = new Promise<void>((resolve) => arrivals.push(resolve))
    const started = performance.now()
    await Promise.all([client.appendToStream('live', event(n)), arrived])
    latencies.push(performance.now() - started)
  }
  await Promise.all(subscriptions.map((subscription) => subscription.unsubscribe()))
  latencies.sort((a, b) => a - b)
  const at = (share: number) => (latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(2)
  console.log(`append → live, ${subscribers} subscriber(s): p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`)
}

/** The same writes in transactions of the sizes that group commit makes; answers the rate of 64. */
function measureRawSqlite(directory: string): number {
  const database = new DatabaseSync(join(directory, 'raw.sqlite'))
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE event (position INTEGER PRIMARY KEY, stream INTEGER, revision INTEGER, id BLOB, data BLOB);
    CREATE UNIQUE INDEX event_by_revision ON event (stream, revision)`)
  const insert = database.prepare('INSERT INTO event VALUES (?, ?, ?, ?, ?)')
  const data = Buffer.from(JSON.stringify(event(0).data))
  const id = Buffer.alloc(16)
  const rates = new Map<number, number>()
  let position = 0
  const transact = (size: number) => {
    database.exec('BEGIN')
    for (let i = 0; i < size; i += 1) {
      position += 1
      insert.run(position, position % 1000, Math.floor(position / 1000), id, data)
    }
    database.exec('COMMIT')
  }
  for (const [size, times] of [
    [1, 3000],
    [64, 1000],
    [500, 100],
  ] as const) {
    const started = performance.now()
    for (let n = 0; n < times; n += 1) transact(size)
    rates.set(size, perSecond(size * times, started))
    report(`node:sqlite alone, ${size} a transaction`, rates.get(size) ?? 0, 'events/s')
  }
  database.close()
  return rates.get(64) ?? 0
}
