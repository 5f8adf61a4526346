import { randomUUID } from 'node:crypto'
import kafkajs, { type Message } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ledger } from '../../../../src/ledger/ledger.ts'
import { openLedger } from '../../../../src/ledger/open.ts'
import { silent } from '../../../ledger/support/requests.ts'
import { type EventStoreProcess, startEventStoreProcess } from '../../../support/event-store.ts'
import { type KafkaBroker, startKafkaBroker } from '../../../support/kafka.ts'
import { isMissing } from '../../../support/services.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { onAdmin } from '../subscriber.ts'
import { runIntake, startIntakeProcess } from './intakes.ts'
import { secret } from './records.ts'
import { eventsIn, headerOf, producerOf, rejectedRecords, sendReports } from './topics.ts'

describe.skipIf(isMissing('Kafka broker'))('Each report is taken once', () => {
  let broker: KafkaBroker
  let eventStore: EventStoreProcess
  let ledger: Ledger

  beforeAll(async () => {
    ;[broker, eventStore] = await Promise.all([startKafkaBroker(), startEventStoreProcess()])
    ledger = await openLedger({ eventStoreUrl: eventStore.url, secret, log: silent })
  })
  afterAll(async () => {
    await ledger?.close()
    await Promise.all([broker?.close(), eventStore?.close()])
  })

  /** Topics of the test's own, and a mark in the labels of its reports. */
  function begin() {
    const { brokers } = broker
    const topicPrefix = `${randomUUID()}.`
    const mark = randomUUID()
    const options = { brokers, topicPrefix }
    return {
      report: (key: string, more = {}): Message => ({
        key,
        value: JSON.stringify({ description: key, source: 'operator', labels: { mark }, ...more }),
      }),
      topicPrefix,
      send: (messages: readonly Message[]) => sendReports(brokers, topicPrefix, messages),
      run: () => runIntake({ ...options, ledger }),
      spawn: () => startIntakeProcess({ ...options, eventStoreUrl: eventStore.url }),
      rejected: (atLeast: number) => rejectedRecords(brokers, topicPrefix, atLeast),
      /** What was reported in this test, by description. */
      reported: async () =>
        (await eventsIn(ledger)).flatMap(({ event }) =>
          event.type === 'IncidentReported' && event.data.labels?.mark === mark
            ? [event.data.description]
            : [],
        ),
    }
  }
  const names = (count: number) => Array.from({ length: count }, (_, n) => `report ${n}`)

  test('through kill -9 of the intake amid its work', async () => {
    const { report, send, spawn, rejected, reported } = begin()
    const all = names(600)
    await send([...all.map((name) => report(name)), ...names(6).map((name) => ({ key: name, value: '{' }))])
    for (const seen of [50, 200]) {
      await using intake = spawn()
      await intake.is('is amid its work', ({ taken }) => taken >= seen)
      await intake.kill()
    }
    await using intake = spawn()
    await intake.is('has nothing left', ({ state, lag }) => state === 'taking' && lag === 0)
    expect((await reported()).toSorted()).toEqual(all.toSorted())
    const places = (await rejected(6)).map(
      (one) => `${headerOf(one, 'rejected-partition')}/${headerOf(one, 'rejected-offset')}`,
    )
    expect(new Set(places).size).toBe(6)
  })

  test('by two intakes at once, of which one comes, works and goes', async () => {
    const { report, send, spawn, run, reported } = begin()
    const all = names(600)
    await using staying = run()
    await staying.is('is there', ({ state }) => state === 'taking')
    await send(all.slice(0, 300).map((name) => report(name)))
    {
      await using other = spawn()
      await send(all.slice(300).map((name) => report(name)))
      await other.is('has its share', ({ state }) => state === 'taking')
      await send(names(60).map((name) => report(name, { description: `late ${name}` })))
      await other.is('works', ({ taken }) => taken > 0)
      await other.stop()
    }
    await staying.is('has nothing left', ({ lag }) => lag === 0)
    const late = names(60).map((name) => `late ${name}`)
    await waitFor(async () => (await reported()).length >= all.length + late.length, {
      describe: 'everything is in the ledger',
    })
    expect((await reported()).toSorted()).toEqual([...all, ...late].toSorted())
  })

  test('while the event store is gone it waits, and goes on by itself when it is back', async () => {
    const { report, send, run, reported } = begin()
    await using intake = run()
    await intake.is('is there', ({ state }) => state === 'taking')
    await eventStore.kill()
    await send(names(20).map((name) => report(name)))
    await intake.is('waits', ({ state }) => state === 'paused')
    expect(intake.health()?.reason).toContain('event-store-unavailable')
    // Longer than a member may be silent that sends no heartbeats.
    const sessionMs = 7_000
    const since = Date.now()
    await waitFor(() => Date.now() - since > sessionMs, { describe: 'a session has passed' })
    expect(intake.health()).toMatchObject({ state: 'paused', taken: 0, rejected: 0 })
    await eventStore.restart()
    await intake.is('has taken all', ({ state, taken }) => state === 'taking' && taken === 20)
    expect((await reported()).toSorted()).toEqual(names(20).toSorted())
    await intake.is('has nothing left', ({ lag }) => lag === 0)
  })

  test('while nothing can be rejected it waits, and skips nothing', async () => {
    const { report, send, run, topicPrefix, rejected, reported } = begin()
    const topic = `${topicPrefix}incidents.reports.rejected`
    await using intake = run()
    await intake.is('is there', ({ state }) => state === 'taking')
    await onAdmin(broker.brokers, (admin) => admin.deleteTopics({ topics: [topic] }))
    const reports = `${topicPrefix}incidents.reports`
    await using producer = await producerOf(broker.brokers)
    await producer.send(reports, [{ key: 'k', value: 'poison' }, report('k')])
    await intake.is('waits', ({ state }) => state === 'paused')
    expect(intake.health()?.reason).toContain('rejected')
    expect(await reported()).toEqual([])
    await onAdmin(broker.brokers, (admin) => admin.createTopics({ topics: [{ topic }] }))
    await intake.is('has gone on', ({ taken, rejected: count }) => taken === 1 && count === 1)
    expect(await rejected(1)).toHaveLength(1)
    expect(await reported()).toEqual(['k'])
    await send([report('another')])
    await intake.is('goes on', ({ taken }) => taken === 2)
  })

  test('through kill -9 of the broker, and the intake comes back by itself', async () => {
    const { report, send, run, reported } = begin()
    const all = names(200)
    await using intake = run()
    await send(all.slice(0, 100).map((name) => report(name)))
    await intake.is('is amid its work', ({ taken }) => taken > 10)
    await broker.kill()
    await intake.is('waits for Kafka', ({ state }) => state === 'waiting')
    await broker.restart()
    await send(all.slice(100).map((name) => report(name)))
    await waitFor(async () => (await reported()).length >= all.length, {
      describe: 'everything is in the ledger',
    })
    expect((await reported()).toSorted()).toEqual(all.toSorted())
  })

  test('once a topic is as it must be, and until then it says what is wrong', async () => {
    const { report, send, run, topicPrefix, reported } = begin()
    const topic = `${topicPrefix}incidents.reports`
    const configOf = (value: string) => ({ name: 'cleanup.policy', value })
    await onAdmin(broker.brokers, (admin) =>
      admin.createTopics({ topics: [{ topic, configEntries: [configOf('compact')] }] }),
    )
    await using intake = run()
    const isTold = `The topic ${topic} has cleanup.policy=compact`
    await intake.is(
      'says so',
      ({ state, reason }) => state === 'stopped' && reason?.startsWith(isTold) === true,
    )
    await onAdmin(broker.brokers, (admin) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [
          { type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries: [configOf('delete')] },
        ],
      }),
    )
    await intake.is('takes reports', ({ state }) => state === 'taking')
    await send([report('k')])
    await intake.is('has taken it', ({ taken }) => taken === 1)
    expect(await reported()).toEqual(['k'])
  })

  test('and a record that does not fit into the topic of the rejected ones leaves its place there', async () => {
    const { send, run, topicPrefix, rejected } = begin()
    const topic = `${topicPrefix}incidents.reports.rejected`
    const small = { name: 'max.message.bytes', value: '2000' }
    await onAdmin(broker.brokers, (admin) =>
      admin.createTopics({ topics: [{ topic, configEntries: [small] }] }),
    )
    await send([{ key: 'k', value: 'poison '.repeat(1_000) }])
    await using intake = run()
    await intake.is('has rejected it', (health) => health.rejected === 1)
    const [record] = await rejected(1)
    expect(record?.value).toBeNull()
    expect(record && headerOf(record, 'rejected-reason')).toBe('not-json')
    expect(record && headerOf(record, 'rejected-omitted')).toMatch(/do not fit/)
  })
})
