import { randomUUID } from 'node:crypto'
import { Kafka, logLevel } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { startKafkaBroker, startTestKafka } from './kafka.ts'
import { isMissing } from './services.ts'

test.skipIf(isMissing('Kafka'))('a test file gets a Kafka that answers', async () => {
  await using kafka = await startTestKafka()
  await using admin = await connected(kafka.brokers)
  expect((await admin.client.describeCluster()).brokers).not.toHaveLength(0)
})

describe.skipIf(isMissing('Kafka broker'))('A Kafka broker', () => {
  test('has what it acknowledged after it was killed and restarted, beside another one', async () => {
    await using broker = await startKafkaBroker()
    await using other = await startKafkaBroker()
    const topic = `kept-${randomUUID()}`
    {
      await using admin = await connected(broker.brokers)
      await admin.client.createTopics({ topics: [{ topic }] })
    }
    await broker.kill()
    await broker.restart()
    await using admin = await connected(broker.brokers)
    await using otherAdmin = await connected(other.brokers)
    expect(await admin.client.listTopics()).toContain(topic)
    expect(await otherAdmin.client.listTopics()).not.toContain(topic)
  })
})

async function connected(brokers: readonly string[]) {
  const client = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin()
  await client.connect()
  return { client, [Symbol.asyncDispose]: () => client.disconnect() }
}
