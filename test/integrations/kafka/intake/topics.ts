/** What a test sends to the intake's topics and finds on them. */
import type { IHeaders, Message } from 'kafkajs'
import { ensureTopics } from '../../../../src/integrations/kafka/topics.ts'
import type { IncidentRecord } from '../../../../src/ledger/event.ts'
import type { Ledger } from '../../../../src/ledger/ledger.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { onAdmin, quietKafka } from '../subscriber.ts'

export interface RawRecord {
  readonly offset: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: IHeaders | undefined
}

/** Makes the topics of the intake, and sends; resolves when the broker has all of it. */
export async function sendReports(
  brokers: readonly string[],
  topicPrefix: string,
  messages: readonly Message[],
): Promise<void> {
  // An intake may be making them just now, and a topic without a leader yet is none.
  await waitFor(
    () => onAdmin(brokers, (admin) => ensureTopics(admin, ['reports', 'rejected'], topicPrefix)),
    {
      describe: 'the topics are there',
    },
  )
  await using producer = await producerOf(brokers)
  for (let start = 0; start < messages.length; start += 500) {
    await producer.send(`${topicPrefix}incidents.reports`, messages.slice(start, start + 500))
  }
}

export async function producerOf(brokers: readonly string[]) {
  // Else what it tries again can be there twice, which is then two reports.
  const producer = quietKafka(brokers).producer({ allowAutoTopicCreation: false, idempotent: true })
  await producer.connect()
  return {
    send: (topic: string, messages: Message[]) => producer.send({ topic, acks: -1, messages }),
    [Symbol.asyncDispose]: () => producer.disconnect(),
  }
}

/** All that was rejected, once there are at least so many. */
export async function rejectedRecords(
  brokers: readonly string[],
  topicPrefix: string,
  atLeast: number,
): Promise<readonly RawRecord[]> {
  const topic = `${topicPrefix}incidents.reports.rejected`
  const consumer = quietKafka(brokers).consumer({
    groupId: `${topicPrefix}rejected-test`,
    maxWaitTimeInMs: 50,
  })
  const received: RawRecord[] = []
  await consumer.connect()
  try {
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ message: { offset, key, value, headers } }) => {
        received.push({ offset, key, value, headers })
      },
    })
    const end = async () => {
      const [extent] = await onAdmin(brokers, (admin) => admin.fetchTopicOffsets(topic))
      return Number(extent?.high)
    }
    await waitFor(async () => received.length >= atLeast && received.length === (await end()), {
      describe: `${atLeast} records are rejected`,
    })
  } finally {
    await consumer.disconnect()
  }
  return received
}

export const headerOf = ({ headers }: RawRecord, name: string): string | undefined =>
  headers?.[name]?.toString()

/** Every event of an incident that the ledger has now, in order. */
export async function eventsIn(ledger: Pick<Ledger, 'subscribe'>): Promise<readonly IncidentRecord[]> {
  const enough = new AbortController()
  const found: IncidentRecord[] = []
  for await (const { records, caughtUp } of ledger.subscribe({ batchSize: 1_000, signal: enough.signal })) {
    found.push(...records.filter((record) => record.kind === 'incident'))
    if (caughtUp) enough.abort()
  }
  return found
}
