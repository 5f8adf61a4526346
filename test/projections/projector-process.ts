/** A process that projects, for tests which kill it: `node projector-process.ts DATABASE_URL RECORDS_FILE`. */
import { readFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { pino } from 'pino'
import type { LedgerRecord } from '../../src/ledger/event.ts'
import { incidentProjection } from '../../src/projections/incident-projector.ts'
import { runProjector } from '../../src/projections/projector.ts'
import { inMemoryLedger } from './in-memory-ledger.ts'
import { noCache } from './no-cache.ts'

const [databaseUrl = '', recordsFile = ''] = process.argv.slice(2)
const smallBatch = 5

const records: readonly LedgerRecord[] = JSON.parse(readFileSync(recordsFile, 'utf8'), (key, value) =>
  key === 'commit' || key === 'prepare' ? BigInt(value) : value,
)
const ledger = inMemoryLedger(records)

await runProjector(
  incidentProjection({
    cache: noCache,
    announceLocally: () => {},
    rebuild: async () => {},
    completeErasure: async () => {},
    log: pino({ level: 'silent' }),
  }),
  {
    databaseUrl,
    ledger: {
      ...ledger,
      // In many small batches, so that there is a middle to be killed in.
      async *subscribe(options) {
        for await (const batch of ledger.subscribe({ ...options, batchSize: smallBatch })) {
          await setImmediate()
          yield batch
        }
      },
    },
    signal: new AbortController().signal,
    log: pino({ level: 'silent' }),
    onState: (state) => console.log(state),
  },
)
