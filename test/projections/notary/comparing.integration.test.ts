/** When a notary holds the whole ledger against what it signed, and what it does after it has found a difference. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { KeptNote } from '../../../src/ledger/checkpoints.ts'
import type { LedgerEntry } from '../../../src/ledger/entries.ts'
import { entryOf } from '../../../src/ledger/entry.ts'
import { migrate } from '../../../src/projections/database.ts'
import { openNotary } from '../../../src/projections/notary/open.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { waitFor } from '../../support/wait-for.ts'

let database: TestDatabase
let directory: TemporaryDirectory
let entries: readonly LedgerEntry[]
const notes: KeptNote[] = []

beforeAll(async () => {
  database = await createTestDatabase()
  await migrate(database.url)
  directory = await temporaryDirectory()
  entries = Array.from({ length: 3 }, (_, index) => entryWith(index, 'as it was'))
})

afterAll(async () => {
  await database.drop()
  await directory.remove()
})

function entryWith(index: number, text: string): LedgerEntry {
  const stored = {
    id: randomUUID(),
    stream: `incident-${index}`,
    revision: 0,
    type: 'OfATest',
    data: { text },
    metadata: {},
  }
  const place = BigInt(index + 1)
  return { ...stored, position: { commit: place, prepare: place }, entry: entryOf(stored) }
}

function altered(index: number): readonly LedgerEntry[] {
  return entries.map((one, at) => (at === index ? { ...entryWith(at, 'otherwise'), id: one.id } : one))
}

/**
 * A notary over what `stored` holds, until it stops or the test ends it. `beforeComparison` holds up whoever reads from the first event on.
 */
function startNotary(
  stored: () => readonly LedgerEntry[],
  { compareEveryMs = 3_600_000, beforeComparison = async () => {} } = {},
) {
  const told: string[] = []
  const before = notes.length
  const notary = openNotary({
    databaseUrl: database.url,
    noteFile: join(directory.path, 'newest-note'),
    keys: { current: Buffer.alloc(32, 1).toString('base64url'), previous: [] },
    compareEveryMs,
    log: pino({ level: 'warn' }, { write: (line) => void told.push(JSON.parse(line).msg) }),
    ledger: {
      entries: {
        ofIncident: async () => [],
        async *subscribe({ after, signal }) {
          if (after === undefined) await beforeComparison()
          const from = after === undefined ? 0 : Number(after.commit)
          yield { entries: stored().slice(from), caughtUp: true }
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        },
      },
      checkpoints: {
        origin: 'test.example/ledger',
        read: async (fromRevision, maxCount) => notes.slice(fromRevision, fromRevision + maxCount),
        last: async () => notes.at(-1),
        keep: async (note, { revision }) => {
          notes.push({ note, revision })
          return 'kept'
        },
      },
      readAt: async (position) => {
        const found = stored()[Number(position.commit) - 1]
        return found && ({ ...found, kind: 'unreadable' as const, type: 'OfATest', reason: '' } as never) // only its id is looked at
      },
      findCopied: async () => undefined,
    },
  })
  const stop = new AbortController()
  const ended = notary.notarise(stop.signal)
  return {
    notary,
    told,
    signed: () => notes.length - before,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await ended
      await notary.close()
    },
  }
}

const resumed =
  'an earlier comparison found a difference: comparing the whole ledger before anything is signed'

test('an event that is altered while it runs is noticed, whatever it was when the notary started', async () => {
  let stored = entries
  await using running = startNotary(() => stored, { compareEveryMs: 1 })
  const { notary } = running
  await waitFor(() => notary.health().comparison?.comparedAtMs, { describe: 'all was compared' })
  expect(notary.health()).toMatchObject({ state: 'leading', comparison: { compared: 3, isWhole: true } })
  stored = altered(1)
  await waitFor(() => notary.health().state === 'stopped', { describe: 'the difference is found' })
  expect(notary.health().reason).toMatch(/index 1: .* the same event is there now with other content/)
})

test('after that nothing is signed, by whichever process and however often it starts, before all was compared', async () => {
  const more = [...altered(1), entryWith(3, 'new')]
  const reached: PromiseWithResolvers<void> = Promise.withResolvers()
  await using running = startNotary(() => more, { beforeComparison: () => reached.promise })
  const { notary, told, signed } = running
  // A notary that signs meanwhile is given all the time for it.
  await waitFor(() => told.includes(resumed) || signed() > 0, { describe: 'it compares, or signs' })
  reached.resolve()
  await waitFor(() => notary.health().state === 'stopped', { describe: 'the difference is found again' })
  expect(signed()).toBe(0)
})

test('once the event store is as it was, all is compared, and then signing goes on, as if nothing had been', async () => {
  const whole = [...entries, entryWith(3, 'new')]
  {
    await using repaired = startNotary(() => whole)
    await waitFor(() => repaired.notary.health().signedSize === 4, { describe: 'the new event is signed' })
    expect(repaired.told).toEqual([resumed])
  }
  await using later = startNotary(() => [...whole, entryWith(4, 'newer')])
  await waitFor(() => later.notary.health().signedSize === 5, { describe: 'the next event is signed' })
  expect(later.told).toEqual([])
})
