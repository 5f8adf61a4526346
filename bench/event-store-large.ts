/**
 * Measures what needs millions of events, and kills the node many times: `node bench/event-store-large.ts [--events 1000000]
 * [--rounds 200]`. Takes about 700 bytes of disk an event, under the system's temporary directory, and about a minute a
 * million events. Figures are ratios within one run: the logs are measured in turns.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { EventStoreDBClient, START } from '@eventstore/db-client'
import { openDatabase } from '../src/embedded/event-store/database.ts'
import { createEventLog } from '../src/embedded/event-store/event-log.ts'
import { checkLog } from '../src/embedded/event-store/fsck.ts'
import { crashRounds } from '../test/embedded/event-store/crash-rounds.ts'
import { atOnce, event, median, perSecond, type RunningNode, report, startNode } from './event-store-node.ts'

const SMALL_LOG = 1000
const EVENTS_PER_STREAM = 20
const EVENTS_PER_READ = 1_000_000
const TURNS = 7
const APPENDS = 10_000

const { values } = parseArgs({
  options: { events: { type: 'string', default: '1000000' }, rounds: { type: 'string', default: '200' } },
})
const directory = mkdtempSync(join(tmpdir(), 'event-store-large-'))
try {
  await measureSizes([SMALL_LOG, ...sizesUpTo(Number(values.events))])
  await kill(Number(values.rounds))
} finally {
  rmSync(directory, { recursive: true })
}

/** A million, and what was asked for if it is more. */
function sizesUpTo(events: number): number[] {
  return events > 1_000_000 ? [1_000_000, events] : [events]
}

async function measureSizes(sizes: readonly number[]): Promise<void> {
  const logs: { size: number; node: RunningNode; client: EventStoreDBClient }[] = []
  for (const size of sizes) {
    const data = join(directory, String(size))
    await fill(data, size)
    const node = await startNode(data)
    console.log(
      `${named(size)}: starts in ${Math.round(node.startedInMs)} ms, ${mib((await node.usage()).memoryBytes)} MiB of memory`,
    )
    logs.push({ size, node, client: EventStoreDBClient.connectionString(node.url) })
  }
  const rates = new Map(
    sizes.map((size) => [size, { alone: [] as number[], together: [] as number[], cpu: [] as number[] }]),
  )
  for (let turn = 0; turn < TURNS; turn += 1) {
    for (const { size, node, client } of logs) {
      const append = (n: number) => client.appendToStream(`turn-${turn}-${n % 1000}`, event(n))
      await atOnce(64, 2000, append)
      const before = await node.usage()
      rates.get(size)?.together.push(await atOnce(64, APPENDS, append))
      const { cpuMicroseconds } = await node.usage()
      rates.get(size)?.cpu.push((cpuMicroseconds - before.cpuMicroseconds) / APPENDS)
      rates.get(size)?.alone.push(await atOnce(1, 500, append))
    }
  }
  const small = rates.get(SMALL_LOG)
  for (const [size, { alone, together, cpu }] of rates) {
    report(`${named(size)}: append, 64 at once`, median(together))
    report(`${named(size)}: append, one at a time`, median(alone))
    console.log(`${named(size)}: the node's CPU an append, 64 at once: ${median(cpu).toFixed(1)} µs`)
    console.log(
      `${named(size)}: cost beside ${named(SMALL_LOG)}: ${(median(small?.together ?? []) / median(together)).toFixed(2)} (64 at once), ${(median(small?.alone ?? []) / median(alone)).toFixed(2)} (one at a time), ${(median(cpu) / median(small?.cpu ?? [])).toFixed(2)} (CPU)`,
    )
  }
  const largest = logs.at(-1)
  if (largest !== undefined) {
    await readAll(largest.client, Math.min(EVENTS_PER_READ, largest.size))
    await subscribe(largest.client, Math.min(EVENTS_PER_READ, largest.size))
    console.log(
      `${named(largest.size)}: ${mib((await largest.node.usage()).memoryBytes)} MiB of memory after all of this`,
    )
  }
  for (const { node, client } of logs) {
    await client.dispose()
    await node.stop()
  }
  for (const size of sizes) check(size)
}

/** Straight into the log, as a node would. */
async function fill(data: string, count: number): Promise<void> {
  const log = createEventLog(openDatabase(data))
  const started = performance.now()
  const nothing = new Uint8Array(0)
  for (let written = 0; written < count; written += EVENTS_PER_STREAM * 25) {
    const streams = Array.from({ length: 25 }, (_, stream) =>
      log.append(
        `incident-${written / EVENTS_PER_STREAM + stream}`,
        'no_stream',
        Array.from({ length: EVENTS_PER_STREAM }, (_, n) => {
          const { id, type, data, metadata } = event(written + n)
          return {
            id,
            type,
            isJson: true,
            data: Buffer.from(JSON.stringify(data)),
            metadata: metadata === undefined ? nothing : Buffer.from(JSON.stringify(metadata)),
          }
        }),
      ),
    )
    await Promise.all(streams)
  }
  report(`${named(count)}: written without a network`, perSecond(count, started), 'events/s')
  log.close()
  const { size } = statSync(join(data, 'events.sqlite'))
  console.log(`${named(count)}: ${(size / count).toFixed(0)} bytes of disk an event`)
}

async function readAll(client: EventStoreDBClient, count: number): Promise<void> {
  const slice = count / 10
  const rates: number[] = []
  const started = performance.now()
  let sliceStarted = started
  let read = 0
  for await (const _ of client.readAll({ maxCount: count })) {
    read += 1
    if (read % slice !== 0) continue
    rates.push(perSecond(slice, sliceStarted))
    sliceStarted = performance.now()
  }
  report(`readAll of ${count.toLocaleString('en')}`, perSecond(read, started), 'events/s')
  console.log(`  by tenths: ${rates.map((rate) => Math.round(rate / 1000)).join(', ')} thousand/s`)
}

async function subscribe(client: EventStoreDBClient, count: number): Promise<void> {
  const subscription = client.subscribeToAll({ fromPosition: START })
  const started = performance.now()
  let seen = 0
  for await (const _ of subscription) if (++seen === count) break
  report(`subscribeToAll of ${count.toLocaleString('en')}`, perSecond(seen, started), 'events/s')
  await subscription.unsubscribe()
}

function check(size: number): void {
  const started = performance.now()
  for (const { what, checked, faults } of checkLog(join(directory, String(size), 'events.sqlite'))) {
    if (faults.length > 0) throw new Error(`${what}: ${faults.join('; ')}`)
    if (what.startsWith('events')) report(`${named(size)}: fsck`, perSecond(checked, started), 'events/s')
  }
}

async function kill(rounds: number): Promise<void> {
  const started = performance.now()
  let round = 0
  for await (const { answered, stored, streams } of crashRounds(join(directory, 'crash'), rounds, 200)) {
    round += 1
    if (round % 10 !== 0 && round !== rounds) continue
    console.log(
      `kill -9, ${round} rounds: ${answered} answered events at their places, once; ${stored} stored in ${streams} streams without gaps; fsck clean`,
    )
  }
  console.log(`  in ${Math.round((performance.now() - started) / 1000)} s`)
}

function named(size: number): string {
  return `${size.toLocaleString('en')} events`
}

function mib(bytes: number): number {
  return Math.round(bytes / 1024 / 1024)
}
