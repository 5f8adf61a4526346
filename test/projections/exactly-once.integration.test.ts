import * as fc from 'fast-check'
import pg from 'pg'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { connectionConfig, migrate } from '../../src/projections/database.ts'
import { incidentProjection } from '../../src/projections/incident-projector.ts'
import type { Term } from '../../src/projections/leadership.ts'
import type { CacheWriter } from '../../src/projections/read-model.ts'
import { rebuild } from '../../src/projections/rebuild.ts'
import { createTestDatabase } from '../support/database.ts'
import { arbitraryRecords } from './history.ts'
import { inMemoryLedger } from './in-memory-ledger.ts'
import { noCache } from './no-cache.ts'
import { rowsOf } from './read-model-rows.ts'

/** What a life of the projector comes to: so many events a batch, and in one of them it crashes at this step. */
const life = fc.record({
  batchSize: fc.integer({ min: 1, max: 8 }),
  crashInBatch: fc.nat(3),
  crashAt: fc.constantFrom('withhold', 'refresh', 'announce', 'the connection'),
})

test('through crashes at any step and in batches of any size, the rows are those of an undisturbed rebuild', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryRecords, fc.array(life, { maxLength: 4 }), async (records, lives) => {
      await using database = await createTestDatabase()
      await migrate(database.url)
      const ledger = inMemoryLedger()
      ledger.append(...records)

      for (const each of lives) await live(database.url, ledger.records, each)
      await live(database.url, ledger.records, undefined)
      const projected = await rowsOf(database.url)
      const { signal } = new AbortController()
      expect(await rebuild({ databaseUrl: database.url, ledger, signal })).toBe(records.length)
      expect(await rowsOf(database.url)).toEqual(projected)
      const { incident_event = [], access_key_event = [], unreadable_event = [] } = projected
      expect(incident_event.length + access_key_event.length + unreadable_event.length).toBe(records.length)
    }),
    { numRuns: 25 },
  )
})

/** One process's life: leads, goes on from the checkpoint, and crashes or comes to the end. */
async function live(
  databaseUrl: string,
  records: ReturnType<typeof inMemoryLedger>['records'],
  fate: (typeof life extends fc.Arbitrary<infer Life> ? Life : never) | undefined,
): Promise<void> {
  const client = new pg.Client(connectionConfig({ databaseUrl }))
  client.on('error', () => {})
  await client.connect()
  const over = new AbortController()
  const term: Term = { client, signal: over.signal, end: () => {} }
  let batch = 0
  const step = async (name: string) => {
    if (fate?.crashAt === name && fate.crashInBatch === batch) throw new Crash()
  }
  const cache: CacheWriter = {
    ...noCache,
    withhold: () => step('withhold'),
    refresh: () => step('refresh'),
  }
  const announceLocally = () => {
    if (fate?.crashAt === 'announce' && fate.crashInBatch === batch) throw new Crash()
  }
  const log = pino({ level: 'silent' })
  try {
    const projecting = await incidentProjection({
      cache,
      announceLocally,
      rebuild: async () => {},
      completeErasure: async () => {},
      log,
    }).begin(term)
    for (; projecting.checkpoint().index + 1 < records.length; batch++) {
      const next = projecting.checkpoint().index + 1
      const some = records.slice(next, next + (fate?.batchSize ?? 7))
      const applied = projecting.apply({ records: some, caughtUp: true })
      // It may fail while the connection is still being cut: awaited below all the same.
      applied.catch(() => {})
      // The server may have committed the batch, or not.
      if (fate?.crashAt === 'the connection' && fate.crashInBatch === batch)
        await terminate(databaseUrl, client)
      expect(await applied).toBe(true)
    }
  } catch (error) {
    if (fate === undefined) throw error
  } finally {
    over.abort()
    await client.end().catch(() => {})
  }
}

class Crash extends Error {}

async function terminate(databaseUrl: string, victim: pg.Client): Promise<void> {
  const client = new pg.Client(databaseUrl)
  await client.connect()
  // @types/pg does not know the member, which pg sets from the server's BackendKeyData.
  const { processID } = victim as pg.Client & { readonly processID: number }
  await client.query('SELECT pg_terminate_backend($1)', [processID])
  await client.end()
}
