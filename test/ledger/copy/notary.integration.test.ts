/** The ledger is moved to another event store: what was signed of it holds there, and is signed on. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { provesConsistency } from '../../../src/audit/merkle.ts'
import { noteVerifier } from '../../../src/audit/signed-note.ts'
import { verifyStore } from '../../../src/audit/store-verification.ts'
import { copyLedger } from '../../../src/ledger/copy/copy.ts'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import { openStoredLedger } from '../../../src/ledger/stored-log.ts'
import { migrate } from '../../../src/projections/database.ts'
import { openNotary } from '../../../src/projections/notary/open.ts'
import { createTestDatabase } from '../../support/database.ts'
import { startEventStoreProcess } from '../../support/event-store.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { waitFor } from '../../support/wait-for.ts'
import { context, report, silent } from '../support/requests.ts'
import { open } from './stored.ts'

const { signal } = new AbortController()

function startNotary(ledger: Ledger, databaseUrl: string, noteFile: string) {
  const keys = { current: Buffer.alloc(32, 1).toString('base64url'), previous: [] }
  const notary = openNotary({ databaseUrl, ledger, keys, noteFile, compareEveryMs: 10, log: silent })
  const stop = new AbortController()
  const ended = notary.notarise(stop.signal)
  return {
    ...notary,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await ended
      await notary.close()
    },
  }
}

/** Once all of the ledger is under a note and was held against the tiles; or the notary says why not. */
function signedOver({ health, signedLog }: ReturnType<typeof startNotary>, size: number) {
  return waitFor(
    async () => {
      const { state, reason, signedSize, comparison } = health()
      if (state === 'stopped') throw new Error(reason)
      if (signedSize !== size || !comparison?.isWhole || comparison.compared !== size) return undefined
      return signedLog.newest()
    },
    { describe: `${size} events are signed and compared` },
  )
}

test('a notary goes on in the copy, with the tiles that it has and with none, and what was signed before holds', {
  timeout: 60_000,
}, async () => {
  await using directory = await temporaryDirectory()
  await using database = await createTestDatabase()
  await using empty = await createTestDatabase()
  await using source = await startEventStoreProcess()
  await using target = await startEventStoreProcess()
  const noteFile = join(directory.path, 'newest-note')
  await Promise.all([migrate(database.url), migrate(empty.url)])
  const signed = async (ledger: Ledger, databaseUrl: string, reports: number, size: number) => {
    await using notary = startNotary(ledger, databaseUrl, noteFile)
    for (let n = 0; n < reports; n += 1) await ledger.incidents.report(report(), context())
    const newest = await signedOver(notary, size)
    return { ...newest, sinceThree: await notary.signedLog.consistency(3, size) }
  }

  const before = await open(source.url)
  const { origin } = before.checkpoints
  const first = await signed(before, database.url, 3, 3)
  const notes = await before.checkpoints.read(0, 100)
  await before.close()
  await copyLedger({ from: source.url, to: target.url, signal })

  const after = await open(target.url)
  expect(after.checkpoints.origin).toBe(origin)
  const withTiles = await signed(after, database.url, 1, 4)
  const anew = await signed(after, empty.url, 1, 5)
  await after.close()
  for (const later of [withTiles, anew]) {
    expect(provesConsistency(first, later, later.sinceThree)).toBe(true)
  }

  const store = openStoredLedger(target.url)
  const kept = (await Array.fromAsync(store.notes())).flat()
  expect(kept.slice(0, notes.length)).toEqual(notes)
  expect(kept.slice(-2).map(({ note }) => note)).toEqual([withTiles.note, anew.note])
  const verifiers = [noteVerifier(anew.verifierKeys.trim())]
  const verdict = await verifyStore({ store, verifiers, known: [first.note, withTiles.note], signal })
  expect(verdict).toMatchObject({ findings: [], events: 5, note: { checkpoint: { origin, size: 5 } } })
  await store.close()
})
