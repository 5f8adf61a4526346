/** The intake as the service runs it: what is reported on Kafka is there for callers of the API. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../../support/database.ts'
import { type EventStoreProcess, startEventStoreProcess } from '../../../support/event-store.ts'
import { type KafkaBroker, startKafkaBroker } from '../../../support/kafka.ts'
import { accessKey, type ServiceProcess, startService } from '../../../support/service-process.ts'
import { isMissing } from '../../../support/services.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../support/temporary-directory.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { sendReports } from './topics.ts'

describe.skipIf(isMissing('Kafka broker') || isMissing('Postgres'))('A service with Kafka', () => {
  let broker: KafkaBroker
  let eventStore: EventStoreProcess
  let database: TestDatabase
  let data: TemporaryDirectory
  let service: ServiceProcess

  beforeAll(async () => {
    ;[broker, eventStore, database, data] = await Promise.all([
      startKafkaBroker(),
      startEventStoreProcess(),
      createTestDatabase(),
      temporaryDirectory(),
    ])
    service = await startService({
      DATA_DIR: data.path,
      EVENTSTORE_URL: eventStore.url,
      LEDGER_SECRET: 'a-secret-for-the-kafka-tests-only',
      DATABASE_URL: database.url,
      KAFKA_BROKERS: broker.brokers.join(','),
    })
  })
  afterAll(async () => {
    await service?.stop()
    await Promise.all([broker?.close(), eventStore?.close(), database?.drop(), data?.remove()])
  })

  const health = async () => (await service.call('GET', '/health')).body

  test('takes reports from there, shows them, and tells on /health and /metrics how it goes', async () => {
    const externalKey = randomUUID()
    await sendReports(broker.brokers, '', [
      {
        key: 'k',
        value: JSON.stringify({ description: 'reported on Kafka', source: 'partner', externalKey }),
      },
      { key: 'k', value: JSON.stringify({ externalKey, status: 'in_progress', reason: 'on it' }) },
      { key: 'k', value: 'poison' },
    ])
    const incident = await waitFor(
      async () => {
        const { items } = (await service.call('GET', '/incidents?source=partner')).body
        return items[0]?.status === 'in_progress' ? items[0] : undefined
      },
      { describe: 'the incident is shown as it was reported and changed' },
    )
    expect(incident).toMatchObject({
      description: 'reported on Kafka',
      origin: 'kafka',
      externalKey,
      revision: 1,
    })
    const { intake } = await waitFor(
      async () => {
        const { dependencies, lag } = await health()
        return lag.waitingReports === 0 && dependencies.intake.rejected === 1 ? dependencies : undefined
      },
      { describe: '/health says that nothing is left' },
    )
    expect(intake).toEqual({ state: 'ok', role: 'taking', taken: 2, rejected: 1 })
    const metrics = await fetch(`${service.url}/metrics`, { headers: { 'x-access-key': accessKey } })
    const lines = (await metrics.text()).split('\n')
    expect(lines).toEqual(
      expect.arrayContaining([
        'ledger_intake_up 1',
        'ledger_reports_waiting 0',
        'ledger_reports_taken_total 2',
        'ledger_reports_rejected_total 1',
      ]),
    )
  })

  test('serves on while Kafka is gone, and says so', async () => {
    await broker.stop()
    const { dependencies } = await waitFor(
      async () => {
        const answer = await health()
        return answer.dependencies.intake.role === 'waiting' ? answer : undefined
      },
      { describe: '/health says that the intake waits for Kafka' },
    )
    expect(dependencies.intake).toMatchObject({ state: 'degraded', reason: expect.stringMatching(/./) })
    expect((await service.call('GET', '/incidents')).status).toBe(200)
    await broker.restart()
    await waitFor(async () => (await health()).dependencies.intake.role === 'taking', {
      describe: 'reports are taken again',
    })
  })
})
