/** Reports that go by way of a real broker. */
import { Kafka, logLevel } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { reportBody } from '../../../src/aggregates/incident/index.ts'
import { ensureTopics } from '../../../src/integrations/kafka/topics.ts'
import { vouchedFor } from '../../../src/integrations/provenance.ts'
import { NotNow, toKafka } from '../../../src/integrations/telegram/hand-over.ts'
import { startKafkaBroker } from '../../support/kafka-broker.ts'
import { isMissing } from '../../support/services.ts'
import { waitFor } from '../../support/wait-for.ts'
import { onAdmin, receivedFrom } from '../kafka/subscriber.ts'
import { identity, keyring } from './talk.ts'

const topic = 'incidents.reports'

describe.skipIf(isMissing('Kafka broker'))('incidents.reports', () => {
  test('keeps each report that was handed over, though the broker was gone meanwhile', async () => {
    await using broker = await startKafkaBroker()
    const client = new Kafka({
      brokers: [...broker.brokers],
      logLevel: logLevel.NOTHING,
      retry: { retries: 1, initialRetryTime: 50 },
      connectionTimeout: 1_000,
    })
    await onAdmin(broker.brokers, (admin) => ensureTopics(admin, ['reports'], ''))
    const { handOver, close } = toKafka(client, topic, keyring)
    const handOn = (message: number) =>
      handOver({
        id: identity.reportId({ chat: -1, message }),
        body: reportBody.parse({ description: `Message ${message}`, source: 'operator' }),
        provenance: {
          actor: identity.actor(undefined),
          origin: identity.origin,
          originRef: `-1/${message}`,
        },
      })
    await handOn(1)
    await broker.kill()
    await expect(handOn(2)).rejects.toThrow(NotNow)
    await broker.restart()
    await waitFor(() => handOn(2).then(() => true), { describe: 'the report is handed on' })
    await close()

    const received = await receivedFrom(broker.brokers, topic, 2)
    const refs = received.map(({ headers, value }) => {
      const { ce_source: source = '', ce_id: id = '', ce_ledgerprovenance: said = '' } = headers
      return vouchedFor({ source, id, value: JSON.stringify(value) }, said, keyring)?.originRef
    })
    expect(new Set(refs)).toEqual(new Set(['-1/1', '-1/2']))
  })
})
