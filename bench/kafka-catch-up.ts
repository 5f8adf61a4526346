/**
 * How fast the publisher catches up on the embedded node's events through the ledger's own subscription, beside bare kafkajs that sends the
 * very same records in the same transactions.
 */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type IHeaders, Kafka, logLevel, type Message, type TopicMessages } from 'kafkajs'
import { startEventStoreNode } from '../src/embedded/event-store/node.ts'
import { connectKafka } from '../src/integrations/kafka/connection.ts'
import { openPublisher } from '../src/integrations/kafka/publisher.ts'
import { ensureTopics } from '../src/integrations/kafka/topics.ts'
import type { Ledger } from '../src/ledger/ledger.ts'
import { openLedger } from '../src/ledger/open.ts'
import { writeHistory } from './bulk-history.ts'
import { silent } from './silent.ts'

const eventsEach = 5
const rounds = 3

export interface CatchUpOfPublisher {
  readonly events: number
  /** Events a second; the medians of the rounds. */
  readonly published: number
  readonly bare: number
  readonly ratio: number
  /** Events in a transaction, on average. */
  readonly transactionEvents: number
}

export async function measurePublisherCatchUp(
  brokers: readonly string[],
  databaseUrl: string,
  events = 100_000,
): Promise<CatchUpOfPublisher> {
  const dataDir = await mkdtemp(join(tmpdir(), 'incident-ledger-bench-'))
  const secret = randomUUID()
  await writeHistory({ dataDir, secret, incidents: events / eventsEach, eventsEach })
  const node = await startEventStoreNode({ dataDir })
  const ledger = await openLedger({
    eventStoreUrl: node.url,
    secret: { current: { version: 1, value: secret }, previous: [] },
    log: silent,
  })
  try {
    const published: number[] = []
    const bare: number[] = []
    let transactionEvents = Number.NaN
    // The first round, which gets the code compiled on both sides, is not counted.
    for (let round = 0; round <= rounds; round++) {
      const ours = events / (await publishAll({ brokers, databaseUrl, ledger, events }, `ours-${round}.`))
      const transactions = await transactionsOf(brokers, `ours-${round}.`)
      const theirs = events / (await sendAll(brokers, transactions, `bare-${round}.`))
      transactionEvents = events / transactions.length
      if (round === 0) continue
      published.push(ours)
      bare.push(theirs)
    }
    const medians = { published: median(published), bare: median(bare) }
    return { events, ...medians, ratio: medians.published / medians.bare, transactionEvents }
  } finally {
    await ledger.close()
    await node.close()
    await rm(dataDir, { recursive: true, force: true })
  }
}

/** Seconds from when it has found its position, at the beginning, until the last commit. */
async function publishAll(
  place: {
    readonly brokers: readonly string[]
    readonly databaseUrl: string
    readonly ledger: Ledger
    readonly events: number
  },
  topicPrefix: string,
): Promise<number> {
  const { brokers, databaseUrl, ledger, events } = place
  const settings = { brokers, topicPrefix }
  const publisher = openPublisher({ settings, databaseUrl, ledger, log: silent })
  const stop = new AbortController()
  const publishing = publisher.publish(stop.signal)
  while (publisher.health().publishedIndex === null) await delay(1)
  const began = performance.now()
  while (publisher.health().publishedIndex !== events - 1) await delay(1)
  const seconds = (performance.now() - began) / 1_000
  stop.abort()
  await publishing
  return seconds
}

/** What was published, as it lies in Kafka, by the transactions it came in: each ends at a position. */
async function transactionsOf(
  brokers: readonly string[],
  topicPrefix: string,
): Promise<readonly (readonly TopicMessages[])[]> {
  const [events = [], states = [], positions = []] = await Promise.all(
    ['incidents.events', 'incidents.state', 'incidents.publisher'].map((name) =>
      everythingIn(brokers, `${topicPrefix}${name}`),
    ),
  )
  const ordered = (messages: readonly Message[]) =>
    messages
      .map((message) => ({ message, index: indexOf(message) }))
      .sort((one, other) => one.index - other.index)
  const [ofEvents, ofStates] = [ordered(events), ordered(states)]
  const upTo = (messages: ReturnType<typeof ordered>, last: number) => {
    const end = messages.findIndex(({ index }) => index > last)
    return messages.splice(0, end === -1 ? messages.length : end).map(({ message }) => message)
  }
  return ordered(positions).map(({ message, index }) => [
    { topic: 'incidents.events', messages: upTo(ofEvents, index) },
    { topic: 'incidents.state', messages: upTo(ofStates, index) },
    { topic: 'incidents.publisher', messages: [message] },
  ])
}

function indexOf({ value }: Message): number {
  const { index }: { index: number } = JSON.parse(String(value))
  return index
}

/** Seconds that bare kafkajs takes: no partitioning, retrying or fencing of ours. */
async function sendAll(
  brokers: readonly string[],
  transactions: readonly (readonly TopicMessages[])[],
  topicPrefix: string,
): Promise<number> {
  const admin = connectKafka({ brokers, topicPrefix }, silent).admin()
  await admin.connect()
  await ensureTopics(admin, ['events', 'state', 'publisher'], topicPrefix)
  await admin.disconnect()
  const producer = plainKafka(brokers).producer({
    transactionalId: topicPrefix,
    idempotent: true,
    maxInFlightRequests: 1,
    retry: { initialRetryTime: 5, factor: 0.2, multiplier: 1.6, retries: 20 },
  })
  await producer.connect()
  await (await producer.transaction()).abort()
  const began = performance.now()
  for (const topics of transactions) {
    const transaction = await producer.transaction()
    const topicMessages = topics.map(({ topic, messages }) => ({ topic: `${topicPrefix}${topic}`, messages }))
    await transaction.sendBatch({ acks: -1, topicMessages })
    await transaction.commit()
  }
  const seconds = (performance.now() - began) / 1_000
  await producer.disconnect()
  return seconds
}

async function everythingIn(brokers: readonly string[], topic: string): Promise<readonly Message[]> {
  const kafka = plainKafka(brokers)
  const admin = kafka.admin()
  await admin.connect()
  const offsets = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  const open = new Map(
    offsets.filter(({ high }) => high !== '0').map(({ partition, high }) => [partition, high]),
  )
  const received: Message[] = []
  const consumer = kafka.consumer({ groupId: `bench-${topic}`, maxWaitTimeInMs: 50 })
  const done = Promise.withResolvers<void>()
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { partition, lastOffset } }) => {
    if (BigInt(lastOffset) + 1n >= BigInt(open.get(partition) ?? 0)) open.delete(partition)
    if (open.size === 0) done.resolve()
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ message: { key, value, headers } }) => {
      received.push({ key: String(key), value: String(value), headers: textOf(headers) })
    },
  })
  await done.promise
  await consumer.disconnect()
  return received
}

function plainKafka(brokers: readonly string[]): Kafka {
  return new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING })
}

function textOf(headers: IHeaders = {}): IHeaders {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
}

function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN
}
