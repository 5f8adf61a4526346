/** A process that publishes, for tests which kill it: `node publisher-process.ts OPTIONS` (JSON); tells its health every few ms. */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { destination, pino } from 'pino'
import { openPublisher } from '../../../src/integrations/kafka/publisher.ts'
import { knownLedger, recordsFromJson } from './known-ledger.ts'

export interface PublisherProcessOptions {
  readonly databaseUrl: string
  readonly brokers: readonly string[]
  readonly topicPrefix: string
  readonly recordsFile: string
  /** Small ones make many transactions to be killed in. */
  readonly batchSize: number
}

if (import.meta.main) {
  const options: PublisherProcessOptions = JSON.parse(process.argv[2] ?? '')
  const { databaseUrl, brokers, topicPrefix, recordsFile, batchSize } = options
  const ledger = knownLedger(recordsFromJson(readFileSync(recordsFile, 'utf8')))
  const publisher = openPublisher({
    settings: { brokers, topicPrefix },
    databaseUrl,
    ledger: {
      ...ledger,
      // A batch when the one before it is published: each has a transaction of its own.
      async *subscribe(subscription) {
        for await (const batch of ledger.subscribe({ ...subscription, batchSize })) {
          yield batch
          const last = ledger.records.findLastIndex(({ id }) => id === batch.records.at(-1)?.id)
          while (!subscription.signal.aborted && publisher.health().publishedIndex !== last) await delay(1)
        }
      },
    },
    log: pino({ level: process.env.TEST_LOG_LEVEL ?? 'silent' }, destination(2)),
  })
  setInterval(() => console.log(JSON.stringify(publisher.health())), 10)
  // Whoever started it is gone.
  process.stdin.on('end', () => process.exit()).resume()
  await publisher.publish(new AbortController().signal)
}
