import type { Logger } from 'pino'
import { connectKafka, type KafkaSettings } from './connection.ts'
import { positionMessage, readPosition } from './position.ts'
import { ensureTopics, topicName } from './topics.ts'
import { openTransactions } from './transactions.ts'
import { lastEventIndexes } from './undecided.ts'

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
  const position = await readPosition(kafka, admin, publisher).then(
    (found) => found.position,
    (error: unknown) => {
      log.warn({ err: error }, 'the publisher left no position that can be read')
      return undefined
    },
  )
  const opened = opening.move()
  const events = topicName('events', topicPrefix)
  return {
    publishedIndex: position?.index,
    topics: { events, state: topicName('state', topicPrefix) },
    async begin() {
      // Before the fence: the publisher fences in turn as soon as it hears of it.
      const seen = await lastEventIndexes(kafka, admin, events)
      const transactions = await openTransactions(kafka, publisher, new Map([[publisher, counts.publisher]]))
      try {
        const repeatedTo = Math.max(...seen, position?.index ?? -1, position?.repeatedTo ?? -1)
        const beginning = {
          index: -1,
          partitions: { events: counts.events, state: counts.state },
          ...(repeatedTo >= 0 && { repeatedTo }),
        }
        await transactions.commit([{ topic: publisher, messages: [positionMessage(beginning)] }])
      } finally {
        await transactions.close()
      }
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
