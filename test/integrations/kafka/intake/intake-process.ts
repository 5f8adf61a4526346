/** A process that takes reports, for tests which kill it: `node intake-process.ts OPTIONS` (JSON); tells its health every few ms. */
import { pino } from 'pino'
import { openIntake } from '../../../../src/integrations/kafka/intake/index.ts'
import { openLedger } from '../../../../src/ledger/open.ts'
import { secret } from './records.ts'

export interface IntakeProcessOptions {
  readonly brokers: readonly string[]
  readonly topicPrefix: string
  readonly eventStoreUrl: string
}

if (import.meta.main) {
  const { brokers, topicPrefix, eventStoreUrl }: IntakeProcessOptions = JSON.parse(process.argv[2] ?? '')
  const log = pino({ level: process.env.TEST_LOG_LEVEL ?? 'silent' }, process.stderr)
  const ledger = await openLedger({ eventStoreUrl, secret, log })
  const intake = openIntake({ settings: { brokers, topicPrefix }, ledger, log })
  const stop = new AbortController()
  process.once('SIGTERM', () => stop.abort())
  // Whoever started it is gone.
  process.stdin.on('end', () => process.exit()).resume()
  const telling = setInterval(() => console.log(JSON.stringify(intake.health())), 10)
  await intake.take(stop.signal)
  clearInterval(telling)
  await ledger.close()
  process.exit()
}
