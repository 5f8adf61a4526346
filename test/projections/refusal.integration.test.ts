import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LedgerError } from '../../src/ledger/errors.ts'
import { openReadModel } from '../../src/projections/open.ts'
import { rebuild } from '../../src/projections/rebuild.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { waitFor } from '../support/wait-for.ts'
import { newIncidentId, report, writer } from './history.ts'
import { type InMemoryLedger, inMemoryLedger } from './in-memory-ledger.ts'
import { rowsOf } from './read-model-rows.ts'

const log = pino({ level: 'silent' })

let database: TestDatabase
let ledger: InMemoryLedger

beforeEach(async () => {
  database = await createTestDatabase()
  ledger = ledgerOf(5)
  const stop = new AbortController()
  const { readModel, projecting } = await projectingFrom(ledger, stop.signal)
  await waitFor(() => readModel.announcements.current()?.index === 4, { describe: 'all is projected' })
  stop.abort()
  await projecting
  await readModel.close()
})

afterEach(async () => {
  await database.drop()
})

test.for([
  ['another store', () => ledgerOf(9), 'another event'],
  [
    'a store that was restored to an earlier time and written to since',
    () => restored(3, 4),
    'another event',
  ],
  ['a store that was restored to an earlier time', () => restored(3, 0), 'no event'],
  ['an empty store', () => inMemoryLedger(), 'no event'],
] as const)('over %s it stops with one sentence, and projects nothing', async ([, store, words]) => {
  const before = await rowsOf(database.url)
  const { readModel, projecting } = await projectingFrom(store(), new AbortController().signal)
  await projecting
  const { projector } = await readModel.health()
  expect(projector.state).toBe('stopped')
  expect(projector.reason).toContain(words)
  expect(await rowsOf(database.url)).toEqual(before)
  await readModel.close()
})

test('a rebuild from another store leaves the read model as it is', async () => {
  const before = await rowsOf(database.url)
  const { signal } = new AbortController()
  await expect(rebuild({ databaseUrl: database.url, ledger: ledgerOf(9), signal })).rejects.toThrow(
    'another one',
  )
  expect(await rowsOf(database.url)).toEqual(before)
})

test('a store that cannot be reached is waited for', async () => {
  let attempts = 0
  const down = {
    ...ledger,
    readAt: async (position: Parameters<InMemoryLedger['readAt']>[0]) => {
      attempts += 1
      if (attempts < 3)
        throw new LedgerError({ code: 'event-store-unavailable', reason: 'connection refused' })
      return ledger.readAt(position)
    },
  }
  const stop = new AbortController()
  const { readModel, projecting } = await projectingFrom(down, stop.signal)
  ledger.append(...writer().write(newIncidentId(), report()))
  await waitFor(() => readModel.announcements.current()?.index === 5, {
    describe: 'the new event is projected',
  })
  expect(attempts).toBe(3)
  stop.abort()
  await projecting
  await readModel.close()
})

async function projectingFrom(
  store: Pick<InMemoryLedger, 'subscribe' | 'readAt' | 'findCopied' | 'completeErasure'>,
  signal: AbortSignal,
) {
  const readModel = await openReadModel({ databaseUrl: database.url, ledger: store, log })
  return { readModel, projecting: readModel.project(signal) }
}

function ledgerOf(incidents: number): InMemoryLedger {
  const made = inMemoryLedger()
  const { write } = writer()
  for (let count = 0; count < incidents; count++) made.append(...write(newIncidentId(), report()))
  return made
}

/** The first events of the ledger, and others in the place of those that were lost. */
function restored(kept: number, since: number): InMemoryLedger {
  const made = inMemoryLedger(ledger.records.slice(0, kept))
  for (const { position, ...record } of ledgerOf(since).records) made.append(record)
  return made
}
