import { randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { noteSigner } from '../../src/audit/signed-note.ts'
import { verifyStoreAt } from '../../src/cli/verify/verify-store.ts'
import { openLogFile } from '../../src/embedded/event-store/log-file.ts'
import { type EventStoreNode, startEventStoreNode } from '../../src/embedded/event-store/node.ts'
import { openCheckpoints } from '../../src/ledger/checkpoints.ts'
import { connectEventStore } from '../../src/ledger/connection.ts'
import { openEntries } from '../../src/ledger/entries.ts'
import { openStoredLedger, storedEntry, storedNote } from '../../src/ledger/stored-log.ts'
import { checkpointStream, isLedgerStream } from '../../src/ledger/streams.ts'
import { recordedTerminal } from '../cli/recorded-terminal.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { appendRaw, raw } from './copy/stored.ts'
import { silent } from './support/requests.ts'

const streams = Array.from({ length: 3 }, () => `incident-${randomUUID()}`)
const odd = [
  raw('{ "b": 1.0, "a": "\\ud800", "b": 2e0, "10": -0, "9": 1e999 }', {
    metadata: Buffer.from(' {"x":1.50} '),
  }),
  raw('{"é":"\u2028","nested":[[[{}]]]}', { metadata: Buffer.from('{"sealed":{"box":"secret","key":"k"}}') }),
  raw('not JSON at all', { metadata: Buffer.from([]) }),
  raw('"text"', { metadata: Buffer.from('[1]') }),
  raw('', { metadata: Buffer.from('null') }),
  raw('', {
    contentType: 'application/octet-stream',
    data: Buffer.from([0, 255, 254]),
    metadata: Buffer.from([255]),
  }),
  raw('', { data: Buffer.from([0x22, 0xff, 0x22]) }),
  raw(JSON.stringify({ long: randomBytes(50_000).toString('hex') })),
]

let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let node: EventStoreNode
const folder = () => join(directory.path, 'event-store')

beforeAll(async () => {
  directory = await temporaryDirectory()
  node = await startEventStoreNode({ dataDir: folder() })
  for (const stream of [...streams, `accessKey-${randomUUID()}`, 'vault-x', 'request-x']) {
    await appendRaw(node.url, stream, -1, ...odd.map((event) => ({ ...event, id: randomUUID() })))
  }
  // More than a page of the ledger's, and of the notes.
  const many = Array.from({ length: 450 }, (_, n) => n)
  for (let from = 0; from < 5; from += 1) {
    await appendRaw(node.url, `incident-${randomUUID()}`, -1, ...many.map((n) => raw(`{"n":${n}}`)))
  }
  const checkpoints = openCheckpointsAt(node.url)
  await checkpoints.keep('the note', { size: 1, root: 'AA==', revision: 0 })
  for (let from = 0; from < 3; from += 1) {
    await appendRaw(node.url, checkpointStream, from * 450, ...many.map((n) => raw(`{"n":${n}}`)))
  }
  await checkpoints.close()
})

afterAll(async () => {
  await node.close()
  await directory.remove()
})

it('the entries of a store, by its address or from its file, are those that the notary is given, in the same order', async () => {
  const store = connectEventStore(node.url)
  const stored = openStoredLedger(node.url)
  try {
    const given: string[] = []
    const { signal } = new AbortController()
    for await (const batch of openEntries(store, silent, signal, 5_000).subscribe({
      batchSize: 100,
      signal,
    })) {
      given.push(...batch.entries.map(({ entry }) => entry.toString()))
      if (batch.caughtUp) break
    }
    expect(given).toHaveLength(4 * odd.length + 5 * 450)
    expect(texts(await collected(stored.entries()))).toEqual(given)
    using file = openLogFile(directory.path)
    const rows = [...file.events(isLedgerStream)].flat()
    expect(texts(rows.map((row) => storedEntry({ ...row, stream: row.streamName })))).toEqual(given)
  } finally {
    await stored.close()
    await store.close()
  }
})

it('so are its notes, and what is among them and is none', async () => {
  const checkpoints = openCheckpointsAt(node.url)
  const stored = openStoredLedger(node.url)
  try {
    const given = await checkpoints.read(0, 10_000)
    expect(given).toHaveLength(1 + 3 * 450)
    expect(given.slice(0, 2)).toEqual([
      { revision: 0, note: 'the note' },
      { revision: 1, note: '' },
    ])
    expect(await collected(stored.notes())).toEqual(given)
    expect(await stored.newest()).toEqual(given.at(-1))
    using file = openLogFile(folder())
    const rows = [...file.stream(checkpointStream)].flat()
    expect(rows.map((row) => storedNote({ ...row, stream: row.streamName }))).toEqual(given)
    expect(file.last(checkpointStream)?.revision).toBe(given.length - 1)
  } finally {
    await stored.close()
    await checkpoints.close()
  }
})

it('a verification of a file lets others have their turn, so that it shows how far it is and can be interrupted', async () => {
  const interruption = new AbortController()
  const terminal = recordedTerminal()
  const verifiers = [noteSigner('test.example', Buffer.alloc(32, 1))]
  const of = { store: folder(), url: undefined, verifiers, knownFiles: [], accessKey: undefined, json: true }
  const verifying = verifyStoreAt({ ...of, terminal, signal: interruption.signal })
  setImmediate(() => interruption.abort(new Error('enough')))
  await expect(verifying).rejects.toThrow('enough')
})

it('a file that is no log of ours is refused', () => {
  expect(() => openLogFile('/nowhere/at/all')).toThrow('there is no event store at /nowhere/at/all')
  const folderWithoutOne = import.meta.dirname
  expect(() => openLogFile(folderWithoutOne)).toThrow(`there is no event store at ${folderWithoutOne}`)
})

function openCheckpointsAt(url: string) {
  const store = connectEventStore(url)
  return { ...openCheckpoints(store, 'origin', 5_000), close: store.close }
}

async function collected<Item>(pages: AsyncIterable<readonly Item[]>): Promise<Item[]> {
  const items: Item[] = []
  for await (const page of pages) items.push(...page)
  return items
}

const texts = (entries: readonly Buffer[]) => entries.map((entry) => entry.toString())
