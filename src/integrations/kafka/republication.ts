import type { Logger } from 'pino'
import { connectKafka, type KafkaSettings } from './connection.ts'
import { positionMessage, readPosition } from './position.ts'
import { ensureTopics, topicName } from './topics.ts'
import { openTransactions } from './transactions.ts'

/** Sends the publisher back to the ledger's first event, whatever it stopped on. */
export interface Republication extends AsyncDisposable {
  /** Index of the last event that was published, -1 for none; undefined where Kafka does not say. */
  readonly publishedIndex: number | undefined
  readonly topics: { readonly events: string; readonly state: string }
  /** Fences the publisher, which then finds its position at the beginning. */
  readonly begin: () => Promise<void>
}

/** Looks how far the ledger is published. @throws TopicUnfit; kafkajs's errors where the cluster cannot be reached. */
export async function openRepublication(settings: KafkaSettings, log: Logger): Promise<Republication> {
  const { topicPrefix } = settings
  await using opening = new AsyncDisposableStack()
  const kafka = connectKafka(settings, log)
  const admin = kafka.admin()
  opening.defer(() => admin.disconnect())
  await admin.connect()
  const counts = await ensureTopics(admin, ['events', 'state', 'publisher'], topicPrefix)
  const publisher = topicName('publisher', topicPrefix)
  const publishedIndex = await readPosition(kafka, admin, publisher, { undecided: 'allowed' }).then(
    ({ position }) => position?.index,
    (error: unknown) => {
      log.warn({ err: error }, 'the publisher left no position that can be read')
      return undefined
    },
  )
  const opened = opening.move()
  return {
    publishedIndex,
    topics: { events: topicName('events', topicPrefix), state: topicName('state', topicPrefix) },
    async begin() {
      const transactions = await openTransactions(kafka, publisher, new Map([[publisher, counts.publisher]]))
      try {
        const partitions = { events: counts.events, state: counts.state }
        await transactions.commit([
          { topic: publisher, messages: [positionMessage({ index: -1, partitions })] },
        ])
      } finally {
        await transactions.close()
      }
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
