import { type Kafka, type Message, Partitioners, type Producer, type TopicMessages } from 'kafkajs'
import type { Place } from './protocol.ts'

/** The producer of a term, alone under its transactional id from when it was opened until a later one is. */
export interface Transactions {
  /**
   * Sends all in one transaction, in order within each topic's partition. Topics without messages are left out.
   * @returns when the commit is acknowledged: it may not be in all partitions yet.
   * @throws Fenced where a later producer took over; else an error after which it is not known whether the transaction came to be.
   * In each case this producer is not to be used again.
   */
  readonly commit: (topics: readonly TopicMessages[]) => Promise<Written>
  readonly close: () => Promise<void>
}

export interface Written {
  /** The offset of the last message of the last topic given. */
  readonly lastOffset: bigint
  /** Of the first record in each partition. */
  readonly places: readonly Place[]
}

/** A later producer of the same transactional id is at work. */
export class Fenced extends Error {
  override readonly name = 'Fenced'
}

/**
 * Back-to-back transactions are told to wait while the markers of the one before are still being written, which takes a
 * millisecond or few; kafkajs's 300 ms are far too long for that. All together about 4 s.
 */
const retry = { initialRetryTime: 5, factor: 0.2, multiplier: 1.6, retries: 12, maxRetryTime: 1_000 }
/** Readers of committed records wait so long for a publisher that died amid a transaction and has no successor. */
export const transactionTimeoutMs = 30_000
/** A broker takes batches of at most 1 MiB, and all of a request's messages may go to one partition. */
const requestBytes = 900 * 1024
const messageOverheadBytes = 100

/**
 * Opens the producer and fences: whatever an earlier one of this id left open is aborted, and what it still sends is refused.
 *
 * @param partitions of each topic that may be sent to: a record's place depends on it, so that it is checked with each send.
 * @throws kafkajs's errors where the cluster cannot be reached.
 */
export async function openTransactions(
  kafka: Kafka,
  transactionalId: string,
  partitions: ReadonlyMap<string, number>,
): Promise<Transactions> {
  const producer = kafka.producer({
    transactionalId,
    idempotent: true,
    maxInFlightRequests: 1,
    transactionTimeout: transactionTimeoutMs,
    allowAutoTopicCreation: false,
    retry,
    createPartitioner: () => partitionerOf(partitions),
  })
  try {
    await producer.connect()
    // Connecting alone does not fence: the transactional id is claimed with the first transaction.
    const claim = await producer.transaction()
    await claim.abort()
  } catch (error) {
    await producer.disconnect().catch(() => {})
    throw error
  }
  return {
    commit: (topics) => commit(producer, topics),
    close: () => producer.disconnect(),
  }
}

async function commit(producer: Producer, topics: readonly TopicMessages[]): Promise<Written> {
  let lastOffset = -1n
  const places: Place[] = []
  try {
    const transaction = await producer.transaction()
    for (const topicMessages of requestsOf(topics)) {
      const written = await transaction.sendBatch({ acks: -1, topicMessages })
      for (const { topicName, partition, baseOffset } of written) {
        const isFirst = !places.some((place) => place.topic === topicName && place.partition === partition)
        if (baseOffset !== undefined && isFirst)
          places.push({ topic: topicName, partition, offset: BigInt(baseOffset) })
      }
      const { topic, messages } = topicMessages.at(-1) ?? { topic: '', messages: [] }
      const base = written.findLast(({ topicName }) => topicName === topic)?.baseOffset
      if (base !== undefined) lastOffset = BigInt(base) + BigInt(messages.length) - 1n
    }
    await transaction.commit()
  } catch (error) {
    if (isFencing(error)) throw new Fenced('another publisher has taken over', { cause: error })
    throw error
  }
  return { lastOffset, places }
}

/** Cut into requests by size, keeping the order. */
function* requestsOf(topics: readonly TopicMessages[]): Generator<TopicMessages[]> {
  let request: TopicMessages[] = []
  let bytes = 0
  for (const { topic, messages } of topics) {
    let start = 0
    for (const [n, message] of messages.entries()) {
      const size = sizeOf(message)
      if (bytes + size > requestBytes && bytes > 0) {
        if (n > start) request.push({ topic, messages: messages.slice(start, n) })
        yield request
        request = []
        bytes = 0
        start = n
      }
      bytes += size
    }
    if (start < messages.length) request.push({ topic, messages: messages.slice(start) })
  }
  if (request.length > 0) yield request
}

/** Three bytes are the most that a UTF-16 unit becomes; nearly all of our text is ASCII. */
function sizeOf({ value, headers }: Message): number {
  const length = typeof value === 'string' ? Buffer.byteLength(value) : (value?.length ?? 0)
  let inHeaders = 0
  for (const [name, text] of Object.entries(headers ?? {})) inHeaders += name.length + (text?.length ?? 0)
  return length + inHeaders + messageOverheadBytes
}

/** By the key's hash, as every Kafka client does it, over the partitions that there were when the producer was opened. */
function partitionerOf(partitions: ReadonlyMap<string, number>) {
  const byKey = Partitioners.DefaultPartitioner()
  return (args: Parameters<typeof byKey>[0]) => {
    const expected = partitions.get(args.topic)
    if (args.partitionMetadata.length !== expected) {
      throw new Error(`${args.topic} has ${args.partitionMetadata.length} partitions instead of ${expected}`)
    }
    return byKey(args)
  }
}

/** Found by its type: kafkajs has no class for it. The broker that knows a newer epoch says the first, a coordinator may say the second. */
function isFencing(error: unknown): boolean {
  const type = error instanceof Error && 'type' in error ? error.type : undefined
  return type === 'INVALID_PRODUCER_EPOCH' || type === 'PRODUCER_FENCED'
}
