import { randomUUID } from 'node:crypto'
import type { Admin, Kafka, KafkaMessage } from 'kafkajs'

/** The first offset that a partition still has, and the one that its next committed record comes after. */
export interface Extent {
  readonly partition: number
  readonly low: bigint
  readonly end: bigint
}

interface PartOfTopic {
  readonly kafka: Kafka
  readonly admin: Admin
  readonly topic: string
  readonly extents: readonly Extent[]
  readonly undecided?: boolean
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
 * @param part `undecided` adds what is neither committed nor aborted.
 * @throws Error where the cluster cannot be read, or not in 30 s.
 */
export async function readRecords(
  { kafka, admin, topic, extents, undecided = false }: PartOfTopic,
  onRecord: (message: KafkaMessage, partition: number) => 'more' | 'enough',
): Promise<void> {
  const parts = new Map(
    extents.filter(({ low, end }) => low < end).map((extent) => [extent.partition, extent]),
  )
  const remaining = new Set(parts.keys())
  if (remaining.size === 0) return
  const groupId = `${topic}-reader-${randomUUID()}`
  const consumer = kafka.consumer({
    groupId,
    readUncommitted: undecided,
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
  // Each time anew: one that joins again begins again.
  consumer.on(consumer.events.GROUP_JOIN, () => {
    for (const { partition, low } of parts.values()) consumer.seek({ topic, partition, offset: String(low) })
  })
  // Told of batches too whose records are all aborted; `lastOffset` counts the transactions' markers.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    const { partition, lastOffset } = payload
    const part = parts.get(partition)
    if (part && BigInt(lastOffset) + 1n >= part.end) remaining.delete(partition)
    if (remaining.size === 0) finished.resolve()
  })
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ message, partition }) => {
        const part = parts.get(partition)
        if (part === undefined || !isIn(part, BigInt(message.offset))) return
        if (onRecord(message, partition) === 'enough') finished.resolve()
      },
    })
    await finished.promise
  } finally {
    clearTimeout(timer)
    await consumer.disconnect()
    // It would be forgotten by itself in a week.
    await admin.deleteGroups([groupId]).catch(() => {})
  }
}

function isIn({ low, end }: Extent, offset: bigint): boolean {
  return low <= offset && offset < end
}

/** Transactions leave a marker after their records, and aborted ones their records too; of a compacted topic most may be gone. */
const firstWindow = 64n
const windowGrowth = 64n

/**
 * What `pick` makes of the last committed record of each partition that it makes something of. Only the ends are read, where that is
 * enough.
 *
 * @throws Error where the cluster cannot be read.
 */
export async function lastCommitted<T>(
  { kafka, admin, topic, extents }: Omit<PartOfTopic, 'undecided'>,
  pick: (message: KafkaMessage) => T | undefined,
): Promise<ReadonlyMap<number, T>> {
  const last = new Map<number, T>()
  let open = extents.filter(({ low, end }) => low < end)
  for (let window = firstWindow; open.length > 0; window *= windowGrowth) {
    const parts = open.map(({ partition, low, end }) => {
      const from = end - window
      // biome-ignore lint/complexity/useMathMinMax: it has no bigint
      return { partition, low: from > low ? from : low, end }
    })
    await readRecords({ kafka, admin, topic, extents: parts }, (message, partition) => {
      const picked = pick(message)
      if (picked !== undefined) last.set(partition, picked)
      return 'more'
    })
    open = open.filter(({ partition, low, end }) => !last.has(partition) && end - window > low)
  }
  return last
}
