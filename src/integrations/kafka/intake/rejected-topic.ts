import kafkajs, { type IHeaders, type Kafka, type Message } from 'kafkajs'
import type { Rejection } from './rejection.ts'
import type { ReportRecord } from './report.ts'
import type { RejectionHeaders } from './schemas.ts'

/** Where records go that cannot be taken, so that the rest flows on. */
export interface RejectedTopic {
  /** Resolves when the brokers have it. Throws kafkajs's errors, after a second or a few. */
  readonly put: (record: ReportRecord, rejection: Rejection) => Promise<void>
  readonly close: () => Promise<void>
}

/** From here on it is compressed: a record can be as large as its topic lets it, and it has more headers now. */
const compressedFromBytes = 64 * 1024
const everyReplicaInStep = -1

export async function openRejectedTopic(kafka: Kafka, topic: string): Promise<RejectedTopic> {
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  const send = (message: Message, bytes: number) =>
    producer.send({
      topic,
      acks: everyReplicaInStep,
      messages: [message],
      ...(bytes >= compressedFromBytes && { compression: kafkajs.CompressionTypes.GZIP }),
    })
  await producer.connect()
  return {
    put: async (record, rejection) => {
      const headers = rejectionHeaders(record, rejection)
      const message = {
        key: record.key,
        value: record.value,
        headers: { ...sendable(record.headers), ...headers },
      }
      try {
        await send(message, record.value?.length ?? 0)
      } catch (error) {
        if (!isTooLarge(error)) throw error
        const omitted = 'Its key, headers and value, which do not fit into this topic.'
        await send({ value: null, headers: { ...headers, 'rejected-omitted': omitted } }, 0)
      }
    },
    close: () => producer.disconnect(),
  }
}

const detailLength = 1_000

function rejectionHeaders(
  { topic, partition, offset, timestamp }: ReportRecord,
  { reason, message }: Rejection,
): RejectionHeaders {
  return {
    'rejected-reason': reason,
    'rejected-detail': message.slice(0, detailLength).toWellFormed(),
    'rejected-topic': topic,
    'rejected-partition': String(partition),
    'rejected-offset': offset,
    'rejected-timestamp': timestamp,
  }
}

/** kafkajs reads headers without a value, but cannot send them. */
function sendable(headers: IHeaders = {}): IHeaders {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.map((one) => one ?? '') : (value ?? ''),
    ]),
  )
}

/** Found by its type: kafkajs has no class for it, and wraps it. */
function isTooLarge(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return ('type' in error && error.type === 'MESSAGE_TOO_LARGE') || isTooLarge(error.cause)
}
