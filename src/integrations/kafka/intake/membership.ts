import { setTimeout as delay } from 'node:timers/promises'
import type { Admin, Consumer, Kafka } from 'kafkajs'
import type { Logger } from 'pino'
import type { IncidentCommands, Keyring } from '../../../ledger/ledger.ts'
import { ensureTopics, topicName } from '../topics.ts'
import { batchHandler } from './batch.ts'
import { reportHandler } from './handler.ts'
import { openRejectedTopic } from './rejected-topic.ts'

export interface Membership {
  readonly kafka: Kafka
  readonly topicPrefix: string
  readonly ledger: {
    readonly incidents: Pick<IncidentCommands, 'report' | 'changeLatest'>
    readonly keyring: Pick<Keyring, 'verify'>
  }
  readonly log: Logger
  readonly onJoined: () => void
  /** Told why records have to wait, and with undefined that they need not any more. */
  readonly onPaused: (reason: string | undefined) => void
  readonly onTaken: () => void
  readonly onRejected: () => void
  /** Records that the group has not done with; null where it is not known. */
  readonly onLag: (records: number | null) => void
}

const group = 'incidents.intake'
/** A member that was killed keeps its partitions for so long. */
const sessionTimeoutMs = 6_000
const heartbeatIntervalMs = 1_000
/** A member has this long to finish what is under way when another one joins. */
const rebalanceTimeoutMs = 30_000
/** A stop waits for a fetch to return, so that it must not take long. */
const fetchWaitMs = 500
const commitIntervalMs = 1_000
const partitionsAtOnce = 3
const lagIntervalMs = 5_000

/**
 * Takes part in the group that reads incidents.reports, until the signal aborts. kafkajs would begin anew by itself after some
 * failures, and go silent after others: here each ends this membership, and the caller begins the next one.
 * @throws TopicUnfit; kafkajs's errors.
 */
export async function runMembership(membership: Membership, stop: AbortSignal): Promise<void> {
  const { kafka, topicPrefix, onJoined, onLag } = membership
  const reports = topicName('reports', topicPrefix)
  const groupId = `${topicPrefix}${group}`
  await using opened = new AsyncDisposableStack()
  const admin = kafka.admin()
  opened.defer(() => admin.disconnect())
  await admin.connect()
  await ensureTopics(admin, ['reports', 'rejected'], topicPrefix)
  const { clusterId } = await admin.describeCluster()
  const rejected = await openRejectedTopic(kafka, topicName('rejected', topicPrefix))
  opened.defer(() => rejected.close())

  const consumer = kafka.consumer({
    groupId,
    sessionTimeout: sessionTimeoutMs,
    heartbeatInterval: heartbeatIntervalMs,
    rebalanceTimeout: rebalanceTimeoutMs,
    maxWaitTimeInMs: fetchWaitMs,
    allowAutoTopicCreation: false,
    retry: { restartOnFailure: async () => false },
  })
  opened.defer(() => consumer.disconnect())
  const crashed = crashOf(consumer)
  consumer.on(consumer.events.GROUP_JOIN, onJoined)
  await consumer.connect()
  await consumer.subscribe({ topics: [reports], fromBeginning: true })

  const ending = new AbortController()
  let watching: Promise<void> | undefined
  opened.defer(async () => {
    ending.abort()
    await watching
  })
  const signal = AbortSignal.any([stop, ending.signal])
  const steps = reportHandler(membership, { topic: reports, clusterId, rejected })
  await consumer.run({
    partitionsConsumedConcurrently: partitionsAtOnce,
    eachBatchAutoResolve: false,
    autoCommitInterval: commitIntervalMs,
    eachBatch: batchHandler(steps, signal),
  })
  watching = watchLag(admin, { reports, groupId, onLag }, signal)
  await Promise.race([aborted(stop), crashed])
}

/** Rejects when the consumer has given up. */
function crashOf(consumer: Consumer): Promise<never> {
  const crashed = Promise.withResolvers<never>()
  // It may give up before anybody waits for it.
  crashed.promise.catch(() => {})
  consumer.on(consumer.events.CRASH, ({ payload }) => crashed.reject(payload.error))
  return crashed.promise
}

async function watchLag(
  admin: Admin,
  { reports, groupId, onLag }: { reports: string; groupId: string; onLag: Membership['onLag'] },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    onLag(await lagOf(admin, reports, groupId).catch(() => null))
    await delay(lagIntervalMs, undefined, { signal }).catch(() => {})
  }
  onLag(null)
}

async function lagOf(admin: Admin, topic: string, groupId: string): Promise<number> {
  const [extents, committed] = await Promise.all([
    admin.fetchTopicOffsets(topic),
    admin.fetchOffsets({ groupId, topics: [topic] }),
  ])
  const offsets = new Map(
    committed.flatMap(({ partitions }) =>
      partitions.map(({ partition, offset }) => [partition, Number(offset)]),
    ),
  )
  return extents.reduce((sum, { partition, low, high }) => {
    // −1: nothing was committed yet.
    const from = Math.max(offsets.get(partition) ?? -1, Number(low))
    return sum + Math.max(0, Number(high) - from)
  }, 0)
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
