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
 * committed is then seen in some partitions and in others never, and the next transaction of that producer would end it as it ends itself.
 *
 * To be called once all other publishers are fenced, when none of theirs can be under way; the caller must fence anew after it.
 *
 * @returns whether there was one.
 * @throws kafkajs's errors where the cluster cannot be reached.
 */
export async function settleUndecided(cluster: Cluster, log: Logger): Promise<boolean> {
  const undecided = await findUndecided(cluster)
  if (undecided.length === 0) return false
  const outcome = await outcomeOf(cluster, undecided)
  if (outcome === undefined) return false
  const partitions = Map.groupBy(undecided, ({ topic }) => topic)
  await cluster.protocol.endTransaction({
    transactionalId: cluster.topics.publisher,
    timeoutMs: transactionTimeoutMs,
    partitions: [...partitions].map(([topic, parts]) => ({
      topic,
      partitions: parts.map(({ partition }) => partition),
    })),
    outcome,
  })
  log.warn(
    { partitions: undecided.map(({ topic, partition, from }) => `${topic}-${partition} from ${from}`) },
    `Kafka had left a transaction of the publisher undecided in some partitions: ${outcome === 'commit' ? 'committed there too' : 'aborted there, and published again'}`,
  )
  return true
}

/**
 * How it was decided, by what can be seen of it: the position where that is committed, or else any of its events. Where nothing of it
 * can be seen nobody was told of it, and it may be aborted and come again. Undefined: it is none of the publisher's.
 */
async function outcomeOf(
  cluster: Cluster,
  undecided: readonly Undecided[],
): Promise<'commit' | 'abort' | undefined> {
  const { kafka, admin, topics } = cluster
  const { position } = await readPosition(kafka, admin, topics.publisher)
  const published = position?.index ?? -1

  const next = await highestIndex(cluster, undecided, topics.publisher, indexOfPosition)
  if (next !== undefined) {
    const before = Math.max(published, position?.repeatedTo ?? -1)
    const seen = await lastEventIndexes(kafka, admin, topics.events)
    return seen.some((index) => index > before && index <= next) ? 'commit' : 'abort'
  }
  const written =
    (await highestIndex(cluster, undecided, topics.events, indexOfEvent)) ??
    (await highestIndex(cluster, undecided, topics.state, indexOfState))
  if (written === undefined) return undefined
  return written <= published ? 'commit' : 'abort'
}

/** Of the ledger's events that the records of a topic which are undecided are about. */
async function highestIndex(
  { kafka, admin }: Cluster,
  undecided: readonly Undecided[],
  topic: string,
  indexOf: (message: KafkaMessage) => number | undefined,
): Promise<number | undefined> {
  const extents = undecided
    .filter((part) => part.topic === topic)
    .map(({ partition, from, end }) => ({ partition, low: from, end }))
  let highest: number | undefined
  await readRecords({ kafka, admin, topic, extents, undecided: true }, (message) => {
    const index = indexOf(message)
    if (index !== undefined && (highest === undefined || index > highest)) highest = index
    return 'more'
  })
  return highest
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

function indexOfEvent({ headers }: KafkaMessage): number | undefined {
  return indexIn(Number(String(headers?.ce_ledgerindex)))
}

function indexOfState({ value }: KafkaMessage): number | undefined {
  try {
    const { index } = JSON.parse(String(value))
    return indexIn(index)
  } catch {
    return undefined
  }
}

function indexOfPosition({ value }: KafkaMessage): number | undefined {
  return value === null ? undefined : parsePosition(value.toString())?.index
}

function indexIn(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}
