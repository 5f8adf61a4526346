import { Redis } from 'ioredis'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { openReadModel } from '../../src/projections/open.ts'
import { createTestDatabase } from '../support/database.ts'
import { startRedis } from '../support/redis.ts'
import { isMissing } from '../support/services.ts'
import { waitFor } from '../support/wait-for.ts'
import { newIncidentId, report, writer } from './history.ts'
import { type InMemoryLedger, inMemoryLedger } from './in-memory-ledger.ts'

test.skipIf(isMissing('Redis'))(
  'what was caught up with at the start is kept in the cache once it is read',
  async () => {
    await using database = await createTestDatabase()
    await using redis = await startRedis()
    const ledger = inMemoryLedger()
    const id = newIncidentId()
    const position = ledger.append(...writer().write(id, report({ description: 'disk full' })))
    const log = pino({ level: 'silent' })
    const readModel = await openReadModel({
      databaseUrl: database.url,
      redisUrl: redis.url,
      ledger: tellingTheEndApart(ledger),
      log,
    })
    const stop = new AbortController()
    const projecting = readModel.project(stop.signal)
    const client = new Redis(redis.url)
    try {
      await waitFor(() => readModel.announcements.reached(position, 1_000), {
        describe: 'the incident is projected',
      })
      await waitFor(
        async () => {
          expect((await readModel.queries.incident(id))?.revision).toBe(0)
          const keys = await client.keys(`*${id}*`)
          const kept = await Promise.all(keys.map((key) => client.get(key)))
          return kept.some((value) => value?.includes('disk full'))
        },
        { describe: 'Redis has the incident' },
      )
    } finally {
      client.disconnect()
      stop.abort()
      await projecting
      await readModel.close()
    }
  },
)

/** As an event store does it where the end is told when the last event was handed out already: by a batch of its own, without records. */
function tellingTheEndApart(
  ledger: InMemoryLedger,
): Pick<InMemoryLedger, 'subscribe' | 'readAt' | 'findCopied' | 'completeErasure'> {
  return {
    readAt: ledger.readAt,
    completeErasure: ledger.completeErasure,
    findCopied: ledger.findCopied,
    async *subscribe(options) {
      for await (const { records, caughtUp } of ledger.subscribe(options)) {
        yield { records, caughtUp: false }
        if (caughtUp) yield { records: [], caughtUp }
      }
    },
  }
}
