import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openRepublication } from '../../../src/integrations/kafka/republication.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { startTestKafka, type TestKafka } from '../../support/kafka.ts'
import { isMissing } from '../../support/services.ts'
import { waitFor } from '../../support/wait-for.ts'
import { busyHistory } from './busy-history.ts'
import { knownLedger } from './known-ledger.ts'
import { type RunningPublisher, runPublisher } from './running-publisher.ts'
import { committedIn, onAdmin, quietKafka, receivedFrom } from './subscriber.ts'

describe.skipIf(isMissing('Kafka') || isMissing('Postgres'))(
  'The publisher writes nothing and says why',
  () => {
    let kafka: TestKafka
    let database: TestDatabase
    const records = busyHistory(20)

    beforeAll(async () => {
      ;[kafka, database] = await Promise.all([startTestKafka(), createTestDatabase()])
    })
    afterAll(async () => {
      await database.drop()
      await kafka.close()
    })

    /** Topics of the test's own, as a publisher left them that has published everything, if it was one. */
    async function begin({ published = true } = {}) {
      const topicPrefix = `${kafka.topicPrefix}${randomUUID()}.`
      const { brokers } = kafka
      const common = { brokers, topicPrefix, databaseUrl: database.url }
      const run = (ledger = knownLedger(records)): RunningPublisher => runPublisher({ ...common, ledger })
      const topic = (name: string) => `${topicPrefix}${name}`
      if (published) {
        await using publisher = run()
        await publisher.published(records.length - 1)
      }
      return {
        run,
        topic,
        republication: () => openRepublication({ brokers, topicPrefix }, pino({ level: 'silent' })),
        administer: <T>(act: Parameters<typeof onAdmin<T>>[1]) => onAdmin<T>(brokers, act),
        /** How many events subscribers have got. */
        events: async () => (await committedIn(brokers, topic('incidents.events'))).length,
        received: (count: number) => receivedFrom(brokers, topic('incidents.events'), count),
      }
    }
    type Place = Awaited<ReturnType<typeof begin>>

    async function makeAnew({ administer, topic }: Place, name: string): Promise<void> {
      await administer(async (admin) => {
        await admin.deleteTopics({ topics: [topic(name)] })
        await waitFor(async () => !(await admin.listTopics()).includes(topic(name)), {
          describe: `${name} is deleted`,
        })
      })
    }

    test('where there are records and no position', async () => {
      const place = await begin()
      await makeAnew(place, 'incidents.publisher')
      await using publisher = place.run()
      const reason = await publisher.stopped()
      expect(reason).toContain(`${place.topic('incidents.events')} has records, but`)
      expect(reason).toContain('incident-ledger republish')
      expect(await place.events()).toBe(records.length)
    })

    test('where the number of partitions is another', async () => {
      const place = await begin()
      const topic = place.topic('incidents.events')
      await place.administer((admin) => admin.createPartitions({ topicPartitions: [{ topic, count: 7 }] }))
      await using publisher = place.run()
      expect(await publisher.stopped()).toMatch(/incidents\.events has 7 partitions, but had 6 when/)
    })

    test('to a partition that was added while it publishes', async () => {
      const place = await begin()
      const ledger = knownLedger(records)
      await using publisher = place.run(ledger)
      await publisher.published(records.length - 1)
      const topic = place.topic('incidents.state')
      await place.administer((admin) => admin.createPartitions({ topicPartitions: [{ topic, count: 7 }] }))
      ledger.append(...busyHistory(40))
      // What it knows of the topics may be some minutes old: until it hears of the partition it goes by the old count.
      await waitFor(
        () =>
          publisher.health().state === 'stopped' || publisher.health().publishedIndex === records.length + 39,
        { describe: 'the publisher has stopped, or published without the new partition' },
      )
      const states = await committedIn(kafka.brokers, topic)
      expect(states.length).toBeGreaterThan(0)
      expect(states.map(({ partition }) => partition)).not.toContain(6)
    })

    test('where the position is not that of this event store', async () => {
      const place = await begin()
      await using publisher = place.run(knownLedger(busyHistory(20)))
      const reason = await publisher.stopped()
      expect(reason).toMatch(
        /^The event store has another event where the last event that was published to Kafka, /,
      )
      expect(await place.events()).toBe(records.length)
    })

    test('anew of what it published before the ledger was copied to another event store, where it goes on', async () => {
      const place = await begin()
      const more = busyHistory(5)
      // In a store of its own each event has another place.
      const moved = records.map((record) => {
        const commit = record.position.commit + 7n
        return { ...record, position: { commit, prepare: commit } }
      })
      const ledger = knownLedger(moved, { copied: true })
      await using publisher = place.run(ledger)
      await publisher.published(records.length - 1)
      ledger.append(...more)
      await publisher.published(records.length + more.length - 1)
      const ids = (await place.received(records.length + more.length)).map(({ headers }) => headers.ce_id)
      expect(new Set(ids).size).toBe(records.length + more.length)
      expect(await place.events()).toBe(records.length + more.length)
    })

    test('where the event store has lost what was published', async () => {
      const place = await begin()
      await using publisher = place.run(knownLedger(records.slice(0, 5)))
      expect(await publisher.stopped()).toMatch(/^The event store has no event where/)
    })

    test('where a topic was deleted and made anew', async () => {
      const place = await begin()
      await makeAnew(place, 'incidents.state')
      await using publisher = place.run()
      expect(await publisher.stopped()).toMatch(/incidents\.state has never had a record: it was deleted/)
    })

    test('where a topic loses records that it must keep, until that is mended', async () => {
      const place = await begin({ published: false })
      const name = place.topic('incidents.state')
      await place.administer((admin) => admin.createTopics({ topics: [{ topic: name, numPartitions: 2 }] }))
      await using publisher = place.run()
      await waitFor(() => publisher.health().reason, { describe: 'the publisher says what it waits for' })
      expect(publisher.health()).toMatchObject({ state: 'waiting', publishedIndex: null })
      expect(publisher.health().reason).toMatch(
        /incidents\.state has cleanup\.policy=delete, but must have compact/,
      )
      await place.administer((admin) =>
        admin.alterConfigs({
          validateOnly: false,
          resources: [{ type: 2, name, configEntries: [{ name: 'cleanup.policy', value: 'compact' }] }],
        }),
      )
      await publisher.published(records.length - 1)
      expect(publisher.health()).toEqual({ state: 'leading', publishedIndex: records.length - 1 })
    })

    test('while its position may be another, until that is decided', async () => {
      const place = await begin()
      const producer = quietKafka(kafka.brokers).producer({
        transactionalId: place.topic('of-someone-else'),
        idempotent: true,
        maxInFlightRequests: 1,
      })
      await producer.connect()
      const transaction = await producer.transaction()
      const message = { key: 'position', value: '{}' }
      await transaction.send({ topic: place.topic('incidents.publisher'), messages: [message] })
      await using publisher = place.run()
      await waitFor(() => publisher.health().reason?.includes('neither committed nor aborted'), {
        describe: 'the publisher says what it waits for',
      })
      expect(publisher.health()).toMatchObject({ state: 'waiting', publishedIndex: null })
      await transaction.abort()
      await publisher.published(records.length - 1)
      await producer.disconnect()
      expect(await place.events()).toBe(records.length)
    })

    test('until it is sent back to the first event, and then goes on by itself', async () => {
      const place = await begin()
      await makeAnew(place, 'incidents.publisher')
      await using publisher = place.run()
      await publisher.stopped()
      await using republication = await place.republication()
      expect(republication.publishedIndex).toBeUndefined()
      await republication.begin()
      await publisher.published(records.length - 1)
      const received = await place.received(2 * records.length)
      const ids = received.map(({ headers }) => headers.ce_id)
      expect(ids).toHaveLength(2 * records.length)
      expect(new Set(ids)).toEqual(new Set(records.map(({ id }) => id)))
    })

    test('except what an idle publisher that is sent back to the first event publishes again', async () => {
      const place = await begin()
      await using publisher = place.run()
      await publisher.published(records.length - 1)
      await using republication = await place.republication()
      expect(republication.publishedIndex).toBe(records.length - 1)
      await republication.begin()
      expect(await place.received(2 * records.length)).toHaveLength(2 * records.length)
    })

    test('but not where a first publisher died before it had committed anything', async () => {
      const place = await begin({ published: false })
      {
        // It makes the topics.
        await using publisher = place.run(knownLedger())
        await waitFor(() => publisher.health().publishedIndex === -1, { describe: 'the publisher leads' })
      }
      const producer = quietKafka(kafka.brokers).producer({
        transactionalId: place.topic('incidents.publisher'),
        idempotent: true,
        maxInFlightRequests: 1,
      })
      await producer.connect()
      const transaction = await producer.transaction()
      const message = { key: 'never', value: '{}' }
      await transaction.send({ topic: place.topic('incidents.events'), messages: [message] })
      await producer.disconnect()
      await using publisher = place.run()
      await publisher.published(records.length - 1)
      expect(await place.received(records.length)).toHaveLength(records.length)
    })
  },
)
