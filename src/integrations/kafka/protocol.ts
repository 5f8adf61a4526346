import { setTimeout as delay } from 'node:timers/promises'
import type { Kafka } from 'kafkajs'

/** Requests of Kafka's protocol that kafkajs 2.2.4 makes itself, but has no public function for. */
export interface Protocol extends AsyncDisposable {
  /** The offset after the last record of each partition, whether that is committed or not (ListOffsets, read_uncommitted). */
  readonly highWatermarks: (topic: string) => Promise<ReadonlyMap<number, bigint>>
  /** Resolves when no transaction is open any more at any of these places (ListOffsets, read_committed). Throws where that takes over 10 s. */
  readonly decided: (places: readonly Place[], signal: AbortSignal) => Promise<void>
  /**
   * Claims a transactional id (InitProducerId), and ends in these partitions what its producer left open there: by transactions without
   * records, which are committed, and then aborted (AddPartitionsToTxn, EndTxn). Any other producer of that id is fenced.
   */
  readonly endTransactions: (ending: Ending) => Promise<void>
}

/** Of a record. */
export interface Place {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
}

interface Ending {
  readonly transactionalId: string
  readonly timeoutMs: number
  readonly commit: readonly Omit<Place, 'offset'>[]
  readonly abort: readonly Omit<Place, 'offset'>[]
}

/** @throws kafkajs's errors where the cluster cannot be reached; its functions do where it cannot any more. */
export async function openProtocol(kafka: Kafka): Promise<Protocol> {
  const cluster = createCluster(kafka)
  const close = () => cluster.disconnect()
  try {
    await cluster.connect()
  } catch (error) {
    await close()
    throw error
  }
  return {
    async highWatermarks(topic) {
      await cluster.addTargetTopic(topic)
      await cluster.refreshMetadata()
      const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId)
      const ends = await endsOf(
        partitions.map((partition) => ({ topic, partition })),
        readUncommitted,
      )
      return new Map(ends.map(({ partition, offset }) => [partition, offset]))
    },
    async decided(places, signal) {
      let open = places
      const until = performance.now() + decisionTimeoutMs
      for (let pauseMs = 1; open.length > 0; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
        signal.throwIfAborted()
        try {
          const stable = await endsOf(open, readCommitted)
          open = open.filter(
            (place) => !stable.some((end) => isSamePartition(end, place) && end.offset > place.offset),
          )
          if (open.length === 0) return
        } catch (error) {
          if (performance.now() > until) throw error
          // Perhaps another broker leads by now.
          await cluster.refreshMetadata().catch(() => {})
        }
        if (performance.now() > until) throw new Error(undecided(open))
        await delay(pauseMs, undefined, { signal })
      }
    },
    async endTransactions({ transactionalId, timeoutMs, commit, abort }) {
      const coordinator = await coordinatorOf(transactionalId)
      const { producerId, producerEpoch } = await coordinator.initProducerId({
        transactionalId,
        transactionTimeout: timeoutMs,
      })
      const producer = { transactionalId, producerId, producerEpoch }
      await end(producer, commit, true)
      await end(producer, abort, false)
    },
    [Symbol.asyncDispose]: close,
  }

  /** Once the partitions are added, whoever claims the id aborts it in them: so the same request is made again until it is answered. */
  async function end(producer: Producer, partitions: Ending['commit'], commits: boolean): Promise<void> {
    if (partitions.length === 0) return
    const topics = [...Map.groupBy(partitions, ({ topic }) => topic)].map(([topic, of]) => ({
      topic,
      partitions: of.map(({ partition }) => partition),
    }))
    const coordinator = await coordinatorOf(producer.transactionalId)
    await answered(() => coordinator.addPartitionsToTxn({ ...producer, topics }), isBusy)
    await answered(
      async () =>
        (await coordinatorOf(producer.transactionalId)).endTxn({ ...producer, transactionResult: commits }),
      isPassing,
    )
  }

  function coordinatorOf(transactionalId: string): Promise<Coordinator> {
    return cluster.findGroupCoordinator({ groupId: transactionalId, coordinatorType: transactionCoordinator })
  }

  /** The offset that the next record would have that such a reader gets. */
  async function endsOf(
    partitions: readonly Omit<Place, 'offset'>[],
    isolationLevel: number,
  ): Promise<readonly Place[]> {
    const byLeader = new Map<string, Map<string, number[]>>()
    for (const [topic, of] of Map.groupBy(partitions, (one) => one.topic)) {
      const leaders = cluster.findLeaderForPartitions(
        topic,
        of.map(({ partition }) => partition),
      )
      for (const [nodeId, led] of Object.entries(leaders)) {
        byLeader.set(nodeId, (byLeader.get(nodeId) ?? new Map()).set(topic, led))
      }
    }
    const answers = await Promise.all(
      Array.from(byLeader, async ([nodeId, topics]) => {
        const broker = await cluster.findBroker({ nodeId })
        return broker.listOffsets({
          isolationLevel,
          topics: Array.from(topics, ([topic, led]) => ({
            topic,
            partitions: led.map((partition) => ({ partition, timestamp: latest })),
          })),
        })
      }),
    )
    return answers.flatMap(({ responses }) =>
      responses.flatMap(({ topic, partitions: found }) =>
        found.map(({ partition, offset }) => ({ topic, partition, offset: BigInt(offset) })),
      ),
    )
  }
}

const readUncommitted = 0
const readCommitted = 1
/** ListOffsets' timestamp for the end. */
const latest = -1
const transactionCoordinator = 1
const decisionTimeoutMs = 10_000
const longestPauseMs = 50
/** Below the transaction's own timeout. */
const answerTimeoutMs = 20_000
const answerPauseMs = 100

async function answered(
  ask: () => Promise<unknown>,
  isWorthAnother: (error: unknown) => boolean,
): Promise<void> {
  const until = performance.now() + answerTimeoutMs
  for (;;) {
    try {
      await ask()
      return
    } catch (error) {
      if (!isWorthAnother(error) || performance.now() > until) throw error
      await delay(answerPauseMs)
    }
  }
}

/** The markers of the transaction before are being written. */
function isBusy(error: unknown): boolean {
  return typeOf(error) === 'CONCURRENT_TRANSACTIONS'
}

/** All but an answer that it is another's turn, or that there is no such transaction. */
function isPassing(error: unknown): boolean {
  const type = typeOf(error)
  return (
    type === undefined || !['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED', 'INVALID_TXN_STATE'].includes(type)
  )
}

function typeOf(error: unknown): string | undefined {
  return error instanceof Error && 'type' in error ? String(error.type) : undefined
}

function isSamePartition(a: Omit<Place, 'offset'>, b: Omit<Place, 'offset'>): boolean {
  return a.topic === b.topic && a.partition === b.partition
}

function undecided(places: readonly Place[]): string {
  const named = places.map(({ topic, partition, offset }) => `${topic}-${partition} from ${offset}`)
  return `Kafka acknowledged a transaction that is neither committed nor aborted in ${named.join(', ')}`
}

/** What kafkajs's producers, consumers and admins stand on, as far as it is used here. */
interface Cluster {
  readonly connect: () => Promise<void>
  readonly disconnect: () => Promise<void>
  readonly addTargetTopic: (topic: string) => Promise<void>
  readonly refreshMetadata: () => Promise<void>
  readonly findTopicPartitionMetadata: (topic: string) => readonly { readonly partitionId: number }[]
  /** The partitions, by the id of the node that leads them. */
  readonly findLeaderForPartitions: (
    topic: string,
    partitions: readonly number[],
  ) => Readonly<Record<string, number[]>>
  readonly findBroker: (of: { readonly nodeId: string }) => Promise<Broker>
  readonly findGroupCoordinator: (of: {
    readonly groupId: string
    readonly coordinatorType: number
  }) => Promise<Coordinator>
}

interface Broker {
  readonly listOffsets: (of: {
    readonly isolationLevel: number
    readonly topics: readonly {
      readonly topic: string
      readonly partitions: readonly { readonly partition: number; readonly timestamp: number }[]
    }[]
  }) => Promise<{
    readonly responses: readonly {
      readonly topic: string
      readonly partitions: readonly { readonly partition: number; readonly offset: string }[]
    }[]
  }>
}

interface Coordinator {
  readonly initProducerId: (of: {
    readonly transactionalId: string
    readonly transactionTimeout: number
  }) => Promise<{ readonly producerId: string; readonly producerEpoch: number }>
  readonly addPartitionsToTxn: (
    of: Producer & {
      readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[]
    },
  ) => Promise<unknown>
  readonly endTxn: (of: Producer & { readonly transactionResult: boolean }) => Promise<unknown>
}

interface Producer {
  readonly transactionalId: string
  readonly producerId: string
  readonly producerEpoch: number
}

type CreateCluster = (options: {
  readonly allowAutoTopicCreation: boolean
  readonly metadataMaxAge: number
}) => Cluster

const metadataMaxAgeMs = 300_000

/** A client has it under a symbol, with its own connection settings. */
function createCluster(kafka: Kafka): Cluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  )
  const create: CreateCluster | undefined = symbol && Reflect.get(kafka, symbol)
  if (create === undefined) throw new Error('this version of kafkajs has no private:Kafka:createCluster')
  return create({
    allowAutoTopicCreation: false,
    metadataMaxAge: metadataMaxAgeMs,
  })
}
