/** `node kafka-idle.ts BROKER calm|plain SECONDS`: what an idle client costs that has sent and received once; told to the parent. */
import { setTimeout as delay } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'
import { pino } from 'pino'
import { connectKafka } from '../src/integrations/kafka/connection.ts'

const [broker = '', client = 'calm', seconds = '60'] = process.argv.slice(2)
const topic = `idle-${client}`
const kafka =
  client === 'calm'
    ? connectKafka({ brokers: [broker], topicPrefix: '' }, pino({ level: 'silent' }))
    : new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING })

const admin = kafka.admin()
await admin.connect()
await admin.createTopics({ topics: [{ topic }] })
const producer = kafka.producer({ transactionalId: topic, idempotent: true, maxInFlightRequests: 1 })
await producer.connect()
const transaction = await producer.transaction()
await transaction.send({ topic, messages: [{ value: 'once' }] })
await transaction.commit()
const consumer = kafka.consumer({ groupId: topic })
await consumer.connect()
await consumer.subscribe({ topics: [topic], fromBeginning: true })
await consumer.run({ eachMessage: async () => {} })

await delay(3_000)
const before = process.cpuUsage()
const began = performance.now()
await delay(Number(seconds) * 1_000)
const { user, system } = process.cpuUsage(before)
process.send?.({ msPerMinute: (user + system) / 1_000 / ((performance.now() - began) / 60_000) })
await Promise.all([admin.disconnect(), producer.disconnect(), consumer.disconnect()])
process.exit()
