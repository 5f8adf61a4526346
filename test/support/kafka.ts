import { randomUUID } from 'node:crypto'
import { startKafkaBroker, type TestKafka } from './kafka-broker.ts'
import { service } from './services.ts'

export { type KafkaBroker, startKafkaBroker, type TestKafka } from './kafka-broker.ts'

/** A Kafka for a test file, from where this run takes it. `isMissing('Kafka')` tells whether there is none. */
export async function startTestKafka(): Promise<TestKafka> {
  const finding = service('Kafka')
  switch (finding.from) {
    case 'environment':
      return testKafka(finding.url.split(','), `test-${randomUUID()}.`, async () => {})
    case 'container': {
      const { KafkaContainer } = await import('@testcontainers/kafka')
      const container = await new KafkaContainer('confluentinc/cp-kafka:8.0.0')
        .withKraft()
        .withEnvironment({
          KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
          KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
        })
        .start()
      const broker = `${container.getHost()}:${container.getMappedPort(9093)}`
      return testKafka([broker], '', async () => void (await container.stop()))
    }
    default:
      return startKafkaBroker()
  }
}

function testKafka(brokers: readonly string[], topicPrefix: string, close: () => Promise<void>): TestKafka {
  return { brokers, topicPrefix, close, [Symbol.asyncDispose]: close }
}
