import { randomUUID } from 'node:crypto'
import { type IHeaders, Kafka, logLevel } from 'kafkajs'
import { waitFor } from '../../support/wait-for.ts'

export interface Received {
  readonly partition: number
  readonly offset: string
  readonly key: string | undefined
  readonly headers: Readonly<Record<string, string>>
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came
  readonly value: any
}

export function quietKafka(brokers: readonly string[]): Kafka {
  return new Kafka({
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 50, retries: 20, maxRetryTime: 1_000 },
  })
}

/** Reads until there are so many: a commit is acknowledged a moment before readers of committed records see it. */
export async function receivedFrom(
  brokers: readonly string[],
  topic: string,
  count: number,
): Promise<readonly Received[]> {
  return waitFor(
    async () => {
      const received = await committedIn(brokers, topic)
      return received.length >= count ? received : undefined
    },
    { describe: `${count} records can be read from ${topic}` },
  )
}

/** All that a read_committed subscriber who begins at the beginning gets of a topic up to now, in order within each partition. */
export async function committedIn(brokers: readonly string[], topic: string): Promise<readonly Received[]> {
  const kafka = quietKafka(brokers)
  const ends = await onAdmin(brokers, (admin) => admin.fetchTopicOffsets(topic))
  const open = new Map(
    ends.filter(({ high, low }) => high !== low).map(({ partition, high }) => [partition, BigInt(high)]),
  )
  if (open.size === 0) return []
  const received = new Map<string, Received>()
  const consumer = kafka.consumer({ groupId: `test-${randomUUID()}`, maxWaitTimeInMs: 50 })
  const done = Promise.withResolvers<void>()
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) done.reject(payload.error)
  })
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { partition, lastOffset } }) => {
    if (BigInt(lastOffset) + 1n >= (open.get(partition) ?? 0n)) open.delete(partition)
    if (open.size === 0) done.resolve()
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message: { offset, key, headers, value } }) => {
      // A consumer that must join again begins again.
      received.set(`${partition} ${offset}`, {
        partition,
        offset,
        key: key?.toString(),
        headers: textOf(headers),
        value: value === null ? null : JSON.parse(value.toString()),
      })
    },
  })
  await done.promise.finally(() => consumer.disconnect())
  return [...received.values()]
}

export async function onAdmin<T>(
  brokers: readonly string[],
  act: (admin: ReturnType<Kafka['admin']>) => Promise<T>,
): Promise<T> {
  const admin = quietKafka(brokers).admin()
  await admin.connect()
  return act(admin).finally(() => admin.disconnect())
}

function textOf(headers: IHeaders = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
}
