/** The publisher as the service runs it: on the real ledger, beside the real read model. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { type EventStoreProcess, startEventStoreProcess } from '../../support/event-store.ts'
import { type KafkaBroker, startKafkaBroker } from '../../support/kafka.ts'
import { accessKey, type ServiceProcess, startService } from '../../support/service-process.ts'
import { isMissing } from '../../support/services.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { waitFor } from '../../support/wait-for.ts'
import { committedIn, receivedFrom } from './subscriber.ts'

describe.skipIf(isMissing('Kafka broker') || isMissing('Postgres'))('A service with Kafka', () => {
  let broker: KafkaBroker
  let eventStore: EventStoreProcess
  let database: TestDatabase
  let data: TemporaryDirectory
  let service: ServiceProcess
  const ids: string[] = []

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

  const report = async (description: string) => {
    const { status, body } = await service.call('POST', '/incidents', {
      body: { source: 'operator', description },
    })
    expect(status).toBe(201)
    ids.push(body.id)
  }
  const health = async () => (await service.call('GET', '/health')).body
  const allPublished = () =>
    waitFor(
      async () => {
        const { dependencies, lag } = await health()
        return (
          dependencies.publisher.role === 'leading' && lag.unpublishedEvents === 0 && lag.publishedIndex >= 0
        )
      },
      { describe: 'the publisher has caught up' },
    )

  test('publishes what it records, and Kafka’s state of each incident is the read model’s', async () => {
    for (const description of ['one', 'two', 'three']) await report(description)
    const change = { body: { status: 'in_progress', reason: 'on it' } }
    await service.call('PATCH', `/incidents/${ids[0]}/status`, change)
    await allPublished()

    const history = (await service.call('GET', `/incidents/${ids[0]}/history`)).body.items
    const events = await receivedFrom(broker.brokers, 'incidents.events', 4)
    expect(events.filter(({ key }) => key === ids[0]).map(({ value }) => value)).toEqual(history)
    await expectStatesOfReadModel()
  })

  test('serves on while Kafka is gone, tells how far it lags, and publishes all of it once Kafka is back', async () => {
    await broker.stop()
    for (const description of ['four', 'five']) await report(description)
    await waitFor(
      async () => {
        const { ready, dependencies, lag } = await health()
        return ready && dependencies.publisher.state === 'degraded' && lag.unpublishedEvents === 2
      },
      { describe: '/health says that two events wait for Kafka' },
    )
    const { reason } = (await health()).dependencies.publisher
    expect(reason).toMatch(/./)
    expect(await metrics()).toMatch(/^ledger_publisher_up 0$[\s\S]*^ledger_unpublished_events 2$/m)
    await report('six')

    await broker.restart()
    await allPublished()
    expect(await metrics()).toMatch(/^ledger_publisher_up 1$[\s\S]*^ledger_unpublished_events 0$/m)
    await receivedFrom(broker.brokers, 'incidents.events', 7)
    await expectEachOnce(7)
  })

  test('goes on after kill -9 of the service, where Kafka says that it stopped', async () => {
    await report('seven')
    await service.kill()
    await service.start()
    await report('eight')
    await allPublished()
    await receivedFrom(broker.brokers, 'incidents.events', 9)
    await expectEachOnce(9)
    await expectStatesOfReadModel()
  })

  async function expectEachOnce(count: number): Promise<void> {
    const events = await committedIn(broker.brokers, 'incidents.events')
    expect(new Set(events.map(({ headers }) => headers.ce_id)).size).toBe(count)
    expect(events).toHaveLength(count)
  }

  /** The last record of each incident, beside what GET answers. */
  async function expectStatesOfReadModel(): Promise<void> {
    await waitFor(
      async () => {
        const states = await committedIn(broker.brokers, 'incidents.state')
        const latest = new Map(states.map(({ key, value: { index: _, ...incident } }) => [key, incident]))
        for (const id of ids) {
          expect(latest.get(id)).toEqual((await service.call('GET', `/incidents/${id}`)).body)
        }
        return latest.size === ids.length
      },
      { describe: 'incidents.state has what the read model has' },
    )
  }

  async function metrics(): Promise<string> {
    return (await fetch(`${service.url}/metrics`, { headers: { 'x-access-key': accessKey } })).text()
  }
})
