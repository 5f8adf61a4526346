import { type Message, Partitioners } from 'kafkajs'
import { eventMessage, stateMessage } from '../../../src/integrations/kafka/messages.ts'
import { positionMessage } from '../../../src/integrations/kafka/position.ts'
import type { LedgerRecord } from '../../../src/ledger/event.ts'
import { projectBatch } from '../../../src/projections/incident-projection.ts'
import { onAdmin, quietKafka } from './subscriber.ts'

/** A record, and the partition that it goes to. */
export interface Placed {
  readonly topic: string
  readonly partition: number
  readonly message: Message
}

const partitions = 6

/** What the publisher's transaction about these records of the ledger, from `first` on, consists of. */
export function transactionOf(
  records: readonly LedgerRecord[],
  first: number,
  topicPrefix: string,
): readonly Placed[] {
  const { incidents } = projectBatch(new Map(), records, 0)
  const events: Message[] = []
  const states: Message[] = []
  for (const [index, record] of records.entries()) {
    if (index < first || record.kind !== 'incident') continue
    events.push(eventMessage(record, index))
    const incident = incidents.get(record.incidentId)?.incident
    if (incident?.revision === record.revision) states.push(stateMessage(incident, index))
  }
  const last = records.at(-1)
  if (last === undefined) throw new Error('a transaction is about some records')
  const position = positionMessage({
    index: records.length - 1,
    position: last.position,
    eventId: last.id,
    partitions: { events: partitions, state: partitions },
  })
  const placed = (topic: string) => (message: Message) => ({
    topic,
    message,
    partition: partitionOf(message),
  })
  return [
    ...events.map(placed(`${topicPrefix}incidents.events`)),
    ...states.map(placed(`${topicPrefix}incidents.state`)),
    { topic: `${topicPrefix}incidents.publisher`, message: position, partition: 0 },
  ]
}

function partitionOf(message: Message): number {
  const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({
    partitionId,
    partitionErrorCode: 0,
    leader: 1,
    replicas: [1],
    isr: [1],
  }))
  return Partitioners.DefaultPartitioner()({ topic: '', partitionMetadata, message })
}

/** Lets a producer write to partitions that it has not told the coordinator of, as every broker did before KIP-890. */
export async function allowUnverified(brokers: readonly string[]): Promise<void> {
  await onAdmin(brokers, (admin) =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: 4,
          name: '1',
          configEntries: [{ name: 'transaction.partition.verification.enable', value: 'false' }],
        },
      ],
    }),
  )
}

interface Producer {
  readonly producerId: string
  readonly producerEpoch: number
}

/** What a broker is asked for, underneath kafkajs's producers. */
interface Broker {
  readonly initProducerId: (of: object) => Promise<Producer>
  readonly addPartitionsToTxn: (of: object) => Promise<unknown>
  readonly endTxn: (of: object) => Promise<unknown>
  readonly produce: (of: object) => Promise<unknown>
}

/**
 * Leaves a transaction as a broker does that loses the markers of it: written whole, decided, and ended in those partitions only that
 * `marked` says yes to. The coordinator has not heard of the others.
 */
export async function loseMarkers(
  brokers: readonly string[],
  transactionalId: string,
  records: readonly Placed[],
  { outcome, marked }: { readonly outcome: 'commit' | 'abort'; readonly marked: (record: Placed) => boolean },
): Promise<void> {
  const kafka = quietKafka(brokers)
  const symbol = Object.getOwnPropertySymbols(kafka).find(({ description }) =>
    description?.includes('createCluster'),
  )
  const cluster = Reflect.get(kafka, symbol ?? '')({ metadataMaxAge: 300_000, allowAutoTopicCreation: false })
  await cluster.connect()
  const broker: Broker = await cluster.findGroupCoordinator({ groupId: transactionalId, coordinatorType: 1 })
  const { producerId, producerEpoch } = await broker.initProducerId({
    transactionalId,
    transactionTimeout: 30_000,
  })
  const producer = { transactionalId, producerId, producerEpoch }

  const known = topicsOf(records.filter(marked))
  if (known.length > 0) {
    const topics = known.map(([topic, parts]) => ({
      topic,
      partitions: parts.map(([partition]) => partition),
    }))
    await broker.addPartitionsToTxn({ ...producer, topics })
  }
  const topicData = topicsOf(records).map(([topic, parts]) => ({
    topic,
    partitions: parts.map(([partition, messages]) => ({
      partition,
      messages: messages.map((message) => ({ ...message, timestamp: Date.now() })),
      firstSequence: 0,
    })),
  }))
  await broker.produce({ ...producer, topicData, acks: -1 })
  if (known.length > 0) await broker.endTxn({ ...producer, transactionResult: outcome === 'commit' })
  await cluster.disconnect()
}

function topicsOf(records: readonly Placed[]): (readonly [string, (readonly [number, Message[]])[]])[] {
  return [...Map.groupBy(records, ({ topic }) => topic)].map(([topic, placed]) => [
    topic,
    [...Map.groupBy(placed, ({ partition }) => partition)].map(
      ([partition, of]) => [partition, of.map(({ message }) => message)] as const,
    ),
  ])
}
