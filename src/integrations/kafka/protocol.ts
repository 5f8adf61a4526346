import type { Kafka } from 'kafkajs'

/** Requests of Kafka's protocol that kafkajs 2.2.4 makes itself, but has no public function for. */
export interface Protocol extends AsyncDisposable {
  /** The offset after the last record of each partition, whether that is committed or not (ListOffsets, read_uncommitted). */
  readonly highWatermarks: (topic: string) => Promise<ReadonlyMap<number, bigint>>
  /**
   * Commits or aborts, under a transactional id, a transaction that consists of these partitions and of no records (InitProducerId,
   * AddPartitionsToTxn, EndTxn). It ends whatever that producer left open in them. Any other producer of that id is fenced.
   */
  readonly endTransaction: (ending: Ending) => Promise<void>
}

interface Ending {
  readonly transactionalId: string
  readonly timeoutMs: number
  readonly partitions: readonly { readonly topic: string; readonly partitions: readonly number[] }[]
  readonly outcome: 'commit' | 'abort'
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
      const partitions = cluster
        .findTopicPartitionMetadata(topic)
        .map(({ partitionId }) => ({ partition: partitionId }))
      const [found] = await cluster.fetchTopicsOffset([{ topic, partitions, fromBeginning: false }])
      return new Map(found?.partitions.map(({ partition, offset }) => [partition, BigInt(offset)]))
    },
    async endTransaction({ transactionalId, timeoutMs, partitions, outcome }) {
      const coordinator = await cluster.findGroupCoordinator({
        groupId: transactionalId,
        coordinatorType: transactionCoordinator,
      })
      const { producerId, producerEpoch } = await coordinator.initProducerId({
        transactionalId,
        transactionTimeout: timeoutMs,
      })
      const producer = { transactionalId, producerId, producerEpoch }
      await coordinator.addPartitionsToTxn({ ...producer, topics: partitions })
      await coordinator.endTxn({ ...producer, transactionResult: outcome === 'commit' })
    },
    [Symbol.asyncDispose]: close,
  }
}

const readUncommitted = 0
const transactionCoordinator = 1

/** What kafkajs's producers, consumers and admins stand on, as far as it is used here. */
interface Cluster {
  readonly connect: () => Promise<void>
  readonly disconnect: () => Promise<void>
  readonly addTargetTopic: (topic: string) => Promise<void>
  readonly refreshMetadata: () => Promise<void>
  readonly findTopicPartitionMetadata: (topic: string) => readonly { readonly partitionId: number }[]
  readonly fetchTopicsOffset: (
    topics: readonly {
      readonly topic: string
      readonly partitions: readonly { readonly partition: number }[]
      readonly fromBeginning: boolean
    }[],
  ) => Promise<readonly { readonly partitions: readonly { partition: number; offset: string }[] }[]>
  readonly findGroupCoordinator: (of: {
    readonly groupId: string
    readonly coordinatorType: number
  }) => Promise<Coordinator>
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
  readonly isolationLevel: number
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
    isolationLevel: readUncommitted,
  })
}
