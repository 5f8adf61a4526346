/**
 * `node bench/kafka.ts [catch-up] [live] [idle] [rounds]`: the publisher beside bare kafkajs, on a broker of its own that the tests' start-up
 * brings along. Takes about twelve minutes on a quiet machine, `rounds` (kills, restarts, two at once) eight of them.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts'
import { startKafkaBroker } from '../test/support/kafka-broker.ts'
import { measurePublisherCatchUp } from './kafka-catch-up.ts'
import { measureLag } from './kafka-live.ts'
import { surviveRounds } from './kafka-rounds.ts'
import { resultOf } from './processes.ts'

const idleSeconds = 60

type Bench = (place: { readonly databaseUrl: string }) => Promise<readonly string[]>

const benches: Record<string, Bench> = {
  async 'catch-up'({ databaseUrl }) {
    await using broker = await startKafkaBroker()
    const { events, published, bare, ratio, transactionEvents } = await measurePublisherCatchUp(
      broker.brokers,
      databaseUrl,
    )
    return [
      `catch-up of ${events} events: ${published.toFixed(0)} events/s, bare kafkajs with the same records in transactions of the same size ` +
        `${bare.toFixed(0)} events/s, ratio ${ratio.toFixed(2)} (aim 0.7); ` +
        `${transactionEvents.toFixed(0)} events a transaction`,
    ]
  },
  async live() {
    await using broker = await startKafkaBroker()
    const { events, perSecond, p50Ms, p99Ms } = await measureLag(broker.brokers)
    return [
      `live lag at ${perSecond.toFixed(0)} events/s (${events} events), from the event's recordedAt, which is before its append, to a read_committed ` +
        `subscriber: p50 ${p50Ms} ms, p99 ${p99Ms} ms (aim p99 150 ms)`,
    ]
  },
  async idle() {
    await using broker = await startKafkaBroker()
    const [address = ''] = broker.brokers
    const lines = []
    for (const client of ['plain', 'calm']) {
      const result = await resultOf('kafka-idle.ts', address, client, String(idleSeconds))
      const { msPerMinute } = result as { msPerMinute: number }
      const whose = client === 'calm' ? 'as the service has it' : 'kafkajs as it comes'
      lines.push(`idle CPU, producer, consumer and admin, ${whose}: ${msPerMinute.toFixed(0)} ms a minute`)
    }
    return lines
  },
  rounds: ({ databaseUrl }) => surviveRounds(databaseUrl),
}

const wanted = process.argv.slice(2)
const dataDir = await mkdtemp(join(tmpdir(), 'incident-ledger-bench-'))
const postgres = await startEmbeddedPostgres({ dataDir, log: () => {} })
try {
  for (const [name, bench] of Object.entries(benches)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    for (const line of await bench({ databaseUrl: postgres.url })) console.log(line)
  }
} finally {
  await postgres.close()
  await rm(dataDir, { recursive: true, force: true })
}
