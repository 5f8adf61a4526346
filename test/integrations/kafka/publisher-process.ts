/** A process that publishes, for tests which kill it: `node publisher-process.ts OPTIONS` (JSON); tells its health every few ms. */
import { readFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { pino } from 'pino'
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
      async *subscribe(subscription) {
        for await (const batch of ledger.subscribe({ ...subscription, batchSize })) {
          await setImmediate()
          yield batch
        }
      },
    },
    log: pino({ level: 'silent' }),
  })
  setInterval(() => console.log(JSON.stringify(publisher.health())), 10)
  // Whoever started it is gone.
  process.stdin.on('end', () => process.exit()).resume()
  await publisher.publish(new AbortController().signal)
}
