import { randomUUID } from 'node:crypto'
import type { Admin, Kafka, KafkaMessage } from 'kafkajs'

/** The first offset that a partition still has, and the one that its next committed record comes after. */
export interface Extent {
  readonly partition: number
  readonly low: bigint
  readonly end: bigint
}

const pollMs = 100
/** An end that never comes, after a compaction that left nothing before it, say. */
const patienceMs = 30_000

/** What a topic has, by partition, as a read_committed reader sees it: up to the first open transaction. */
export async function extentsOf(admin: Admin, topic: string): Promise<readonly Extent[]> {
  const offsets = await admin.fetchTopicOffsets(topic)
  return offsets.map(({ partition, low, high }) => ({ partition, low: BigInt(low), end: BigInt(high) }))
}

/**
 * Reads what is committed in the given parts of a topic, in order within each, until `onRecord` has had enough or all is read.
 * The group that kafkajs needs for it is thrown away again.
 *
 * @returns the highest offset, plus one, that any record of the last partition read has, committed or not; 0 where nothing was read.
 * @throws Error where the cluster cannot be read, or not in 30 s.
 */
export async function readCommitted(
  { kafka, admin, topic, extents }: { kafka: Kafka; admin: Admin; topic: string; extents: readonly Extent[] },
  onRecord: (message: KafkaMessage) => 'more' | 'enough',
): Promise<bigint> {
  const remaining = new Map(
    extents.filter(({ low, end }) => low < end).map((extent) => [extent.partition, extent]),
  )
  if (remaining.size === 0) return 0n
  let highWatermark = 0n
  const groupId = `${topic}-reader-${randomUUID()}`
  const consumer = kafka.consumer({
    groupId,
    readUncommitted: false,
    allowAutoTopicCreation: false,
    maxWaitTimeInMs: pollMs,
  })
  const finished = Promise.withResolvers<void>()
  // Awaited below, and only where the consumer could be started.
  finished.promise.catch(() => {})
  const timer = setTimeout(
    () =>
      finished.reject(
        new Error(`the topic ${topic} could not be read to its end in ${patienceMs / 1_000} s`),
      ),
    patienceMs,
  )
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    // Else it tries again by itself: on a fresh cluster the group's coordinator may still be loading.
    if (!payload.restart) finished.reject(payload.error)
  })
  // Told of batches too whose records are all aborted; `lastOffset` counts the transactions' markers.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    const { partition, lastOffset } = payload
    highWatermark = BigInt(payload.highWatermark)
    const extent = remaining.get(partition)
    if (extent && BigInt(lastOffset) + 1n >= extent.end) remaining.delete(partition)
    if (remaining.size === 0) finished.resolve()
  })
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ message }) => {
        if (onRecord(message) === 'enough') finished.resolve()
      },
    })
    for (const { partition, low } of extents) consumer.seek({ topic, partition, offset: String(low) })
    await finished.promise
    return highWatermark
  } finally {
    clearTimeout(timer)
    await consumer.disconnect()
    // It would be forgotten by itself in a week.
    await admin.deleteGroups([groupId]).catch(() => {})
  }
}
