/** How fast the publisher catches up, beside bare kafkajs that sends the very same records in transactions of the same size. */
import { type IHeaders, Kafka, logLevel, type Message, type TopicMessages } from 'kafkajs'
import { pino } from 'pino'
import { connectKafka } from '../src/integrations/kafka/connection.ts'
import { openPublisher } from '../src/integrations/kafka/publisher.ts'
import { ensureTopics } from '../src/integrations/kafka/topics.ts'
import type { LedgerRecord } from '../src/ledger/event.ts'
import type { Subscribe } from '../src/ledger/ledger.ts'
import { syntheticHistory } from './kafka-history.ts'

const transactionEvents = 2_000
const rounds = 3
/** What gets the code compiled before it is measured, on both sides. */
const warmUpEvents = 20_000

export interface CatchUpOfPublisher {
  readonly events: number
  /** Events a second; the medians of the rounds. */
  readonly published: number
  readonly bare: number
  readonly ratio: number
}

export async function measurePublisherCatchUp(
  brokers: readonly string[],
  databaseUrl: string,
  events = 100_000,
): Promise<CatchUpOfPublisher> {
  const records = syntheticHistory(events)
  const warmUp = records.slice(0, warmUpEvents)
  await publishAll(brokers, databaseUrl, warmUp, 'warm-up.')
  await sendAll(brokers, await transactionsOf(brokers, 'warm-up.'), 'bare-warm-up.')

  const published: number[] = []
  const bare: number[] = []
  for (let round = 0; round < rounds; round++) {
    published.push(events / (await publishAll(brokers, databaseUrl, records, `ours-${round}.`)))
    const transactions = await transactionsOf(brokers, `ours-${round}.`)
    bare.push(events / (await sendAll(brokers, transactions, `bare-${round}.`)))
  }
  const medians = { published: median(published), bare: median(bare) }
  return { events, ...medians, ratio: medians.published / medians.bare }
}

/** Seconds from when it leads until the last commit. */
async function publishAll(
  brokers: readonly string[],
  databaseUrl: string,
  records: readonly LedgerRecord[],
  topicPrefix: string,
): Promise<number> {
  const stop = new AbortController()
  const log = pino({ level: 'warn' })
  let began = 0
  const subscribe: Subscribe = async function* ({ batchSize }) {
    began = performance.now()
    for (let start = 0; start < records.length; start += batchSize) {
      const batch = records.slice(start, start + batchSize)
      yield { records: batch, caughtUp: start + batch.length === records.length }
    }
    // The last batch is committed before more is asked for.
    ended.resolve(performance.now())
  }
  const ended = Promise.withResolvers<number>()
  const history = { events: async () => [] }
  const ledger = { subscribe, readAt: async () => undefined, history }
  const publisher = openPublisher({ settings: { brokers, topicPrefix }, databaseUrl, ledger, log })
  const publishing = publisher.publish(stop.signal)
  const seconds = ((await ended.promise) - began) / 1_000
  stop.abort()
  await publishing
  return seconds
}

/** What was published, as it lies in Kafka, by the transactions it came in. */
async function transactionsOf(
  brokers: readonly string[],
  topicPrefix: string,
): Promise<readonly (readonly TopicMessages[])[]> {
  const [events, states, positions] = await Promise.all(
    ['incidents.events', 'incidents.state', 'incidents.publisher'].map((name) =>
      everythingIn(brokers, `${topicPrefix}${name}`),
    ),
  )
  const transactions: { events: Message[]; state: Message[]; publisher: Message[] }[] = []
  const at = (index: number) => {
    const n = Math.floor(index / transactionEvents)
    transactions[n] ??= { events: [], state: [], publisher: [] }
    return transactions[n]
  }
  for (const message of events ?? []) at(indexOf(message)).events.push(message)
  for (const message of states ?? []) at(indexOf(message)).state.push(message)
  for (const message of positions ?? []) at(indexOf(message)).publisher.push(message)
  return transactions.map(({ events, state, publisher }) => [
    { topic: 'incidents.events', messages: events },
    { topic: 'incidents.state', messages: state },
    { topic: 'incidents.publisher', messages: publisher },
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
  const admin = connectKafka({ brokers, topicPrefix }, pino({ level: 'silent' })).admin()
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
