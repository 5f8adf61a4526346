import type { Admin, Kafka, KafkaMessage } from 'kafkajs'
import type { Logger } from 'pino'
import { parsePosition, readPosition } from './position.ts'
import type { Protocol } from './protocol.ts'
import { extentsOf, lastCommitted, readRecords } from './records.ts'
import { transactionTimeoutMs } from './transactions.ts'

/** The end of a partition that is neither committed nor aborted: its readers get nothing from there on. */
export interface Undecided {
  readonly topic: string
  readonly partition: number
  readonly from: bigint
  readonly end: bigint
}

interface Topics {
  readonly events: string
  readonly state: string
  readonly publisher: string
}

interface Cluster {
  readonly kafka: Kafka
  readonly admin: Admin
  readonly protocol: Protocol
  readonly topics: Topics
}

/** What a transaction under way has written, or one that Kafka lost. */
export async function findUndecided({
  admin,
  protocol,
  topics,
}: Omit<Cluster, 'kafka'>): Promise<readonly Undecided[]> {
  const found: Undecided[] = []
  for (const topic of [topics.events, topics.state, topics.publisher]) {
    const stable = await extentsOf(admin, topic)
    const ends = await protocol.highWatermarks(topic)
    for (const { partition, end: from } of stable) {
      const end = ends.get(partition) ?? from
      if (end > from) found.push({ topic, partition, from, end })
    }
  }
  return found
}

/**
 * Ends a transaction of the publisher's that Kafka takes to be over, although it is not in every partition. A coordinator that comes back,
 * after all replicas of a partition were gone, may find a transaction whose commit was acknowledged, and skip the partitions that have no
 * leader yet as if they were deleted (seen with Kafka 4.3.1 after kill -9: "likely deleted already and hence can be skipped"). What was
 * committed is then seen in some partitions and in others never, and the next transaction of that producer would end it as it ends itself:
 * so none begins before the one before it has ended everywhere (`Protocol.decided`).
 *
 * To be called once all other publishers are fenced, when none of theirs can be under way; the caller must fence anew after it.
 *
 * @returns what it has ended.
 * @throws kafkajs's errors where the cluster cannot be reached.
 */
export async function settleUndecided(cluster: Cluster, log: Logger): Promise<readonly Undecided[]> {
  const undecided = await findUndecided(cluster)
  if (undecided.length === 0) return []
  const { commit, abort } = await outcomesOf(cluster, undecided)
  const ended = [...commit, ...abort]
  if (ended.length === 0) return []
  await cluster.protocol.endTransactions({
    transactionalId: cluster.topics.publisher,
    timeoutMs: transactionTimeoutMs,
    commit,
    abort,
  })
  const named = (parts: readonly Undecided[]) =>
    parts.map(({ topic, partition, from }) => `${topic}-${partition} from ${from}`)
  log.warn(
    { committed: named(commit), aborted: named(abort) },
    'Kafka had left a transaction of the publisher undecided in some partitions: ended there as it was decided',
  )
  return ended
}

/**
 * How it was decided, by what can be seen of it. What a committed position covers was committed; what comes after it was where its own
 * position is committed, or any of its events: else nobody was told of it, and it may be aborted and come again. What is none of the publisher's is
 * in neither.
 */
async function outcomesOf(
  { kafka, admin, topics }: Cluster,
  undecided: readonly Undecided[],
): Promise<{ readonly commit: readonly Undecided[]; readonly abort: readonly Undecided[] }> {
  const { position } = await readPosition(kafka, admin, topics.publisher)
  const published = position?.index ?? -1
  const indexes = new Map<Undecided, number>()
  for (const [topic, parts] of Map.groupBy(undecided, (part) => part.topic)) {
    const highest = await highestIndexes(kafka, admin, parts, indexIn(topic, topics))
    for (const part of parts) {
      const index = highest.get(part.partition)
      if (index !== undefined) indexes.set(part, index)
    }
  }
  const next = [...indexes].find(([{ topic }]) => topic === topics.publisher)?.[1]
  const isSeen = next !== undefined && (await isAnySeen(next))
  // A position before the first event is a republication's, and all that its transaction has.
  const isCommitted = (index: number) => index <= published || (next !== undefined && (isSeen || next < 0))
  const parts = [...indexes]
  return {
    commit: parts.filter(([, index]) => isCommitted(index)).map(([part]) => part),
    abort: parts.filter(([, index]) => !isCommitted(index)).map(([part]) => part),
  }

  async function isAnySeen(upTo: number): Promise<boolean> {
    const before = Math.max(published, position?.repeatedTo ?? -1)
    const seen = await lastEventIndexes(kafka, admin, topics.events)
    return seen.some((index) => index > before && index <= upTo)
  }
}

/** Of the ledger's events that the records in these parts of a topic are about, by partition. */
async function highestIndexes(
  kafka: Kafka,
  admin: Admin,
  parts: readonly Undecided[],
  indexOf: (message: KafkaMessage) => number | undefined,
): Promise<ReadonlyMap<number, number>> {
  const [{ topic } = { topic: '' }] = parts
  const extents = parts.map(({ partition, from, end }) => ({ partition, low: from, end }))
  const highest = new Map<number, number>()
  await readRecords({ kafka, admin, topic, extents, undecided: true }, (message, partition) => {
    const index = indexOf(message)
    if (index !== undefined) highest.set(partition, Math.max(index, highest.get(partition) ?? index))
    return 'more'
  })
  return highest
}

export function isSamePart(a: Undecided, b: Undecided): boolean {
  return a.topic === b.topic && a.partition === b.partition && a.from === b.from
}

/** The ledger's index of the last committed event of each partition that has one. */
export async function lastEventIndexes(
  kafka: Kafka,
  admin: Admin,
  topic: string,
): Promise<readonly number[]> {
  const extents = await extentsOf(admin, topic)
  return [...(await lastCommitted({ kafka, admin, topic, extents }, indexOfEvent)).values()]
}

function indexIn(topic: string, topics: Topics): (message: KafkaMessage) => number | undefined {
  if (topic === topics.publisher) return indexOfPosition
  return topic === topics.state ? indexOfState : indexOfEvent
}

function indexOfEvent({ headers }: KafkaMessage): number | undefined {
  return indexOrNone(Number(String(headers?.ce_ledgerindex)))
}

function indexOfState({ value }: KafkaMessage): number | undefined {
  try {
    const { index } = JSON.parse(String(value))
    return indexOrNone(index)
  } catch {
    return undefined
  }
}

function indexOfPosition({ value }: KafkaMessage): number | undefined {
  return value === null ? undefined : parsePosition(value.toString())?.index
}

function indexOrNone(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}
