/** The full rounds of what the tests do a few times: publishers killed, brokers restarted, two at once; each event once. */
import { randomInt } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { openTransactions } from '../src/integrations/kafka/transactions.ts'
import type { LedgerRecord } from '../src/ledger/event.ts'
import { projectBatch } from '../src/projections/incident-projection.ts'
import { incidentJson } from '../src/projections/incident-rows.ts'
import { startPublisherProcess } from '../test/integrations/kafka/killed-publisher.ts'
import { recordsToJson } from '../test/integrations/kafka/known-ledger.ts'
import { committedIn, quietKafka } from '../test/integrations/kafka/subscriber.ts'
import { type KafkaBroker, startKafkaBroker } from '../test/support/kafka-broker.ts'
import { syntheticHistory } from './kafka-history.ts'

const kills = 50
const restarts = 10
const pairs = 10
/** So small that a life has many transactions to end in. */
const batchSize = 15
const longestLifeMs = 1_500
const shortestLifeMs = 300

interface Place {
  readonly broker: KafkaBroker
  readonly databaseUrl: string
  readonly directory: string
}

export async function surviveRounds(databaseUrl: string): Promise<readonly string[]> {
  const directory = await mkdtemp(join(tmpdir(), 'incident-ledger-bench-'))
  try {
    await using broker = await startKafkaBroker()
    const place = { broker, databaseUrl, directory }
    return [await killed(place), await restarted(place), await paired(place)]
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function killed(place: Place): Promise<string> {
  const ledger = await ledgerOf(place, 'killed.', 60_000)
  let unfinished = 0
  for (let round = 0; round < kills; round++) {
    await using publisher = ledger.spawn()
    // From when it leads; else some would die before they had begun.
    await publisher.reached(-1)
    await delay(randomInt(shortestLifeMs, longestLifeMs))
    if ((publisher.health()?.publishedIndex ?? -1) < ledger.last) unfinished += 1
    await publisher.kill()
  }
  await using publisher = ledger.spawn({ batchSize: 2_000 })
  await until(() => publisher.health()?.publishedIndex === ledger.last)
  await publisher.kill()
  return `${kills} publishers killed, ${unfinished} of them with events left: ${await ledger.verdict()}`
}

async function restarted(place: Place): Promise<string> {
  const ledger = await ledgerOf(place, 'restarted.', 30_000)
  let unfinished = 0
  await using publisher = ledger.spawn()
  await publisher.reached(0)
  for (let round = 0; round < restarts; round++) {
    await delay(randomInt(shortestLifeMs, longestLifeMs))
    if ((publisher.health()?.publishedIndex ?? -1) < ledger.last) unfinished += 1
    if (round % 2 === 0) await place.broker.kill()
    const before = publisher.health()?.publishedIndex ?? -1
    await place.broker.restart()
    await until(() => (publisher.health()?.publishedIndex ?? -1) > before || before === ledger.last)
  }
  await until(() => publisher.health()?.publishedIndex === ledger.last)
  await publisher.kill()
  return `${restarts} broker restarts, half by kill -9, ${unfinished} of them with events left: ${await ledger.verdict()}`
}

async function paired(place: Place): Promise<string> {
  // Another database has another lock: both believe that they lead.
  const elsewhere = await otherDatabase(place.databaseUrl)
  const verdicts = new Set<string>()
  for (let round = 0; round < pairs; round++) {
    const ledger = await ledgerOf(place, `paired-${round}.`, 3_000)
    await using one = ledger.spawn()
    await using other = ledger.spawn({ databaseUrl: elsewhere })
    await until(() => [one, other].some(({ health }) => health()?.publishedIndex === ledger.last))
    await one.kill()
    await other.kill()
    verdicts.add(await ledger.verdict())
  }
  return `${pairs} rounds of two publishers at once: ${[...verdicts].join('; ')}`
}

async function ledgerOf({ broker, databaseUrl, directory }: Place, topicPrefix: string, events: number) {
  const records = syntheticHistory(events)
  const recordsFile = join(directory, `${topicPrefix}json`)
  await writeFile(recordsFile, recordsToJson(records))
  const { brokers } = broker
  const common = { brokers, topicPrefix, databaseUrl, recordsFile, batchSize }
  return {
    last: records.length - 1,
    spawn: (changes: { batchSize?: number; databaseUrl?: string } = {}) =>
      startPublisherProcess({ ...common, ...changes }),
    verdict: () => verdictOn(brokers, topicPrefix, records),
  }
}

/** What a read_committed subscriber has got, beside what was promised. */
async function verdictOn(
  brokers: readonly string[],
  topicPrefix: string,
  records: readonly LedgerRecord[],
): Promise<string> {
  // A new producer of that id waits until what was committed can be read.
  const transactions = await openTransactions(
    quietKafka(brokers),
    `${topicPrefix}incidents.publisher`,
    new Map(),
  )
  await transactions.close()
  const received = await committedIn(brokers, `${topicPrefix}incidents.events`)
  const ids = received.map(({ headers }) => headers.ce_id)
  const distinct = new Set(ids)
  const missing = records.filter(({ id }) => !distinct.has(id)).length
  const next = new Map<string | undefined, number>()
  let disordered = 0
  for (const { key, headers } of received) {
    const sequence = Number(headers.ce_sequence)
    if (sequence !== (next.get(key) ?? 0)) disordered += 1
    next.set(key, sequence + 1)
  }
  const states = new Map(
    (await committedIn(brokers, `${topicPrefix}incidents.state`)).map(({ key, value }) => [key, value]),
  )
  const { incidents } = projectBatch(new Map(), records, 0)
  let wrong = states.size - incidents.size
  for (const [id, { incident }] of incidents) {
    const { index: _, ...state } = states.get(id) ?? {}
    if (JSON.stringify(state) !== incidentJson(incident)) wrong += 1
  }
  return (
    `${received.length} received of ${records.length} events, ${ids.length - distinct.size} twice, ${missing} missing, ` +
    `${disordered} out of order; ${states.size} states, ${wrong} other than the read model's`
  )
}

async function otherDatabase(databaseUrl: string): Promise<string> {
  const client = new pg.Client(databaseUrl)
  await client.connect()
  await client.query('CREATE DATABASE elsewhere')
  await client.end()
  const url = new URL(databaseUrl)
  url.pathname = '/elsewhere'
  return url.href
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(20)
}
