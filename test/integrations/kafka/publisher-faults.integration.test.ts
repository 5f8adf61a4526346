import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openRepublication } from '../../../src/integrations/kafka/republication.ts'
import { openTransactions } from '../../../src/integrations/kafka/transactions.ts'
import type { LedgerRecord } from '../../../src/ledger/event.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { freePort } from '../../support/free-port.ts'
import { type KafkaBroker, startKafkaBroker } from '../../support/kafka.ts'
import { endTransaction, type KafkaRelay, startKafkaRelay } from '../../support/kafka-relay.ts'
import { isMissing } from '../../support/services.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { waitFor } from '../../support/wait-for.ts'
import { busyHistory, expectExactlyOnce, expectLatestStates } from './busy-history.ts'
import { startPublisherProcess } from './killed-publisher.ts'
import { knownLedger, recordsToJson } from './known-ledger.ts'
import { allowUnverified, loseMarkers, type Placed, transactionOf } from './lost-markers.ts'
import { runPublisher } from './running-publisher.ts'
import { committedIn, quietKafka, receivedFrom } from './subscriber.ts'

describe.skipIf(isMissing('Kafka broker') || isMissing('Postgres'))(
  'Each event is published exactly once',
  () => {
    let broker: KafkaBroker
    let relay: KafkaRelay
    let database: TestDatabase
    let directory: TemporaryDirectory
    const records = busyHistory(600)
    const last = records.length - 1

    beforeAll(async () => {
      const advertisedPort = await freePort()
      ;[broker, database, directory] = await Promise.all([
        startKafkaBroker({ advertisedPort }),
        createTestDatabase(),
        temporaryDirectory(),
      ])
      relay = await startKafkaRelay(advertisedPort, broker.port)
      await writeFile(join(directory.path, 'records.json'), recordsToJson(records))
    })
    afterAll(async () => {
      await relay[Symbol.asyncDispose]()
      await Promise.all([broker.close(), database.drop(), directory.remove()])
    })

    /** Topics of the test's own. */
    function begin() {
      const { brokers } = broker
      const topicPrefix = `${randomUUID()}.`
      const recordsFile = join(directory.path, 'records.json')
      const common = { brokers, topicPrefix, databaseUrl: database.url }
      return {
        spawn: (databaseUrl = database.url) =>
          startPublisherProcess({ ...common, databaseUrl, recordsFile, batchSize: 15 }),
        topicPrefix,
        run: (ledger = knownLedger(records)) => runPublisher({ ...common, ledger }),
        async expectAll(all: readonly LedgerRecord[] = records) {
          await settled(brokers, `${topicPrefix}incidents.publisher`)
          expectExactlyOnce(await committedIn(brokers, `${topicPrefix}incidents.events`), all)
          expectLatestStates(await committedIn(brokers, `${topicPrefix}incidents.state`), all)
        },
      }
    }

    test('through kill -9 of the publisher, again and again', async () => {
      const { spawn, run, expectAll } = begin()
      for (let round = 0; round < 3; round++) {
        await using publisher = spawn()
        await publisher.reached(Math.floor(((round + Math.random()) * last) / 4))
        await publisher.kill()
      }
      await using publisher = run()
      await publisher.published(last)
      await expectAll()
    })

    test('by two publishers at once who both believe that they lead', async () => {
      const { spawn, expectAll } = begin()
      // Another database has another lock.
      await using elsewhere = await createTestDatabase()
      await using one = spawn()
      await using other = spawn(elsewhere.url)
      await waitFor(() => [one, other].some(({ health }) => health()?.publishedIndex === last), {
        describe: 'one of the two has published everything',
      })
      await one.kill()
      await other.kill()
      await expectAll()
    })

    test('through kill -9 of the broker, and the publisher waits for it', async () => {
      const { spawn, expectAll } = begin()
      await using publisher = spawn()
      await publisher.reached(100)
      await broker.kill()
      await waitFor(() => publisher.health()?.state === 'waiting', {
        describe: 'the publisher says that it waits',
      })
      await broker.restart()
      await publisher.reached(last)
      await expectAll()
    })

    test.each(['lost', 'unanswered'] as const)('when a commit is %s', async (fate) => {
      const { run, expectAll } = begin()
      const ledger = knownLedger(records.slice(0, 10))
      await using publisher = run(ledger)
      await publisher.published(9)
      relay.ordain(endTransaction, fate)
      ledger.append(...records.slice(10, 20))
      await publisher.published(19)
      expect(relay.happened()).toBe(true)
      await expectAll(ledger.records)
    })

    describe('when Kafka acknowledges a transaction and then loses its end in some partitions,', () => {
      const isEvent = ({ topic }: Placed) => topic.endsWith('incidents.events')
      const isPosition = ({ topic }: Placed) => topic.endsWith('incidents.publisher')
      beforeAll(() => allowUnverified(broker.brokers))

      test.each<{
        told: string
        outcome: 'commit' | 'abort'
        marked: (all: readonly Placed[]) => (one: Placed) => boolean
      }>([
        { told: 'a commit', outcome: 'commit', marked: inOneOf(isEvent) },
        { told: 'a commit that is seen nowhere', outcome: 'commit', marked: () => () => false },
        { told: 'a commit whose position is seen', outcome: 'commit', marked: () => isPosition },
        { told: 'an abort', outcome: 'abort', marked: inOneOf(isEvent) },
        { told: 'an abort whose position has gone', outcome: 'abort', marked: () => isPosition },
      ])('$told', async ({ outcome, marked }) => {
        const { run, expectAll, topicPrefix } = begin()
        {
          await using publisher = run(knownLedger(records.slice(0, 10)))
          await publisher.published(9)
        }
        const lost = transactionOf(records.slice(0, 40), 10, topicPrefix)
        const transactionalId = `${topicPrefix}incidents.publisher`
        await loseMarkers(broker.brokers, transactionalId, lost, { outcome, marked: marked(lost) })
        const ledger = knownLedger(records.slice(0, 50))
        await using publisher = run(ledger)
        await publisher.published(49)
        await expectAll(ledger.records)
      })

      test('an abort, of what had been published once before', async () => {
        const { run, topicPrefix } = begin()
        const ledger = knownLedger(records.slice(0, 40))
        {
          await using publisher = run(ledger)
          await publisher.published(39)
        }
        const { brokers } = broker
        await using republication = await openRepublication(
          { brokers, topicPrefix },
          pino({ level: 'silent' }),
        )
        await republication.begin()
        const lost = transactionOf(ledger.records, 0, topicPrefix)
        const marked = inOneOf(isEvent)(lost)
        await loseMarkers(brokers, `${topicPrefix}incidents.publisher`, lost, { outcome: 'abort', marked })
        await using publisher = run(ledger)
        await publisher.published(39)
        const received = await receivedFrom(brokers, `${topicPrefix}incidents.events`, 80)
        const times = Map.groupBy(received, ({ headers }) => headers.ce_id)
        expect([...times.values()].map((of) => of.length)).toEqual(ledger.records.map(() => 2))
      })

      test('and tells of no event as published that no reader can see', async () => {
        const { run, expectAll } = begin()
        const ledger = knownLedger(records.slice(0, 10))
        await using publisher = run(ledger)
        await publisher.published(9)
        relay.ordain(endTransaction, 'pretended')
        ledger.append(...records.slice(10, 20))
        await publisher.published(19)
        expect(relay.happened()).toBe(true)
        await expectAll(ledger.records)
      })
    })

    test('when a standby takes over, which has not written yet', async () => {
      const { run, spawn, expectAll } = begin()
      const ledger = knownLedger(records.slice(0, 10))
      await using leader = run(ledger)
      await leader.published(9)
      // Another database has another lock.
      await using elsewhere = await createTestDatabase()
      await using successor = spawn(elsewhere.url)
      await successor.reached(last)
      await waitFor(() => leader.health().publishedIndex !== 9, {
        describe: 'the idle one has heard that it was fenced, and reads the position again',
      })
      await successor.kill()
      await expectAll()
    })
  },
)

/**
 * Resolves when what was committed can be read: a commit is acknowledged before the markers are written that readers go by, and a new
 * producer of that id is kept waiting for them.
 */
async function settled(brokers: readonly string[], transactionalId: string): Promise<void> {
  const transactions = await openTransactions(quietKafka(brokers), transactionalId, new Map())
  await transactions.close()
}

/** In the partition of the first such record, and in no other. */
function inOneOf(isIt: (record: Placed) => boolean) {
  return (all: readonly Placed[]) => {
    const first = all.find(isIt)
    return (record: Placed) => isIt(record) && record.partition === first?.partition
  }
}
