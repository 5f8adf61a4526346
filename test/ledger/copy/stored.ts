import { randomUUID } from 'node:crypto'
import { EventStoreDBClient } from '@eventstore/db-client'
import { importFile } from '../../../src/cli/import/run.ts'
import { serviceNow } from '../../../src/cli/import/servicenow.ts'
import { openRawStore, type RawEvent, type RawProposal } from '../../../src/ledger/copy/raw-store.ts'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import { openLedger } from '../../../src/ledger/open.ts'
import { checkpointStream, orderedPrefixes, vaultPrefix } from '../../../src/ledger/streams.ts'
import { extract } from '../../cli/import/importing.ts'
import { context, keyed, pinned, report, secret, silent } from '../support/requests.ts'

/** An event as it is stored, its position left out: that is a store's own. */
export interface Stored {
  readonly stream: string
  readonly revision: number
  readonly id: string
  readonly type: string
  readonly contentType: string
  readonly data: string
  readonly metadata: string
}

export const open = (eventStoreUrl: string) => openLedger({ eventStoreUrl, secret, log: silent })

/** What the copy keeps in its order, byte for byte. */
export async function orderedIn(url: string): Promise<readonly Stored[]> {
  return (await allOf(url, orderedPrefixes)).map(stored)
}

/** What each vault now consists of; its revision is a store's own. */
export async function vaultsIn(url: string) {
  const store = openRawStore(url)
  try {
    const streams = new Set((await allOf(url, [vaultPrefix])).map(({ stream }) => stream))
    const living = await Promise.all([...streams].sort().map((stream) => store.readStream(stream)))
    return living.map((events) => events.map(stored).map(({ revision: _, ...rest }) => rest))
  } finally {
    await store.close()
  }
}

async function allOf(url: string, prefixes: readonly string[]): Promise<readonly RawEvent[]> {
  const store = openRawStore(url)
  try {
    return await store.readAll({ after: undefined, prefixes, maxCount: 1_000_000 })
  } finally {
    await store.close()
  }
}

function stored({ stream, revision, id, type, contentType, data, metadata }: RawEvent): Stored {
  return {
    stream,
    revision,
    id,
    type,
    contentType,
    data: Buffer.from(data).toString('base64'),
    metadata: Buffer.from(metadata).toString('base64'),
  }
}

/** Appends bytes as they are. */
export async function appendRaw(
  url: string,
  stream: string,
  expectedRevision: number,
  ...events: readonly RawProposal[]
): Promise<void> {
  const store = openRawStore(url)
  try {
    if ((await store.append(stream, events, expectedRevision)) === 'conflict') throw new Error('conflict')
  } finally {
    await store.close()
  }
}

export function raw(data: string, more: Partial<RawProposal> = {}): RawProposal {
  return {
    id: randomUUID(),
    type: 'OfATest',
    contentType: 'application/json',
    data: Buffer.from(data),
    metadata: Buffer.from('{}'),
    ...more,
  }
}

export const streams = {
  odd: `incident-${randomUUID()}`,
  deleted: `incident-${randomUUID()}`,
  vault: `${vaultPrefix}${randomUUID()}`,
} as const

/** Real incidents, requests that are pinned, access keys, a vault that was rewritten, signed notes, bytes that no JSON writer makes. */
export async function fill(url: string): Promise<void> {
  const ledger = await open(url)
  try {
    const { signal } = new AbortController()
    await importFile(serviceNow, {
      ledger,
      file: extract,
      origin: 'import:servicenow',
      signal,
      onProblem: () => {},
      onProgress: () => {},
    })
    await write(ledger, 40)
  } finally {
    await ledger.close()
  }
  const client = EventStoreDBClient.connectionString(url)
  try {
    await client.setStreamMetadata(streams.vault, { maxCount: 1 })
    await appendRaw(url, streams.vault, -1, raw('{"keys":["old"]}'))
    await appendRaw(url, streams.vault, 0, raw('{"keys":["living"]}'))
    await appendRaw(url, streams.deleted, -1, raw('{}'), raw('{}'))
    await appendRaw(
      url,
      streams.odd,
      -1,
      raw('{ "b": 1.0, "a": "\\ud800", "b": 2e0 }', { metadata: Buffer.from(' {"x":1.50} ') }),
      raw('not JSON at all', { metadata: Buffer.from([]) }),
      raw('', {
        contentType: 'application/octet-stream',
        data: Buffer.from([0, 255, 254]),
        metadata: Buffer.from([255]),
      }),
    )
    await client.deleteStream(streams.deleted)
    await appendRaw(url, checkpointStream, -1, raw('{"note":"one"}'), raw('{"note":"two"}'))
  } finally {
    await client.dispose()
  }
}

/** New incidents under all kinds of identity, and changes to them. */
export async function write(ledger: Ledger, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    const key = randomUUID()
    const { incident } = await ledger.incidents.report(
      report(i % 3 === 0 ? { externalKey: `alarm ${i % 7}` } : { title: `The ${i}th ☃` }),
      i % 3 === 0 ? pinned(key) : i % 3 === 1 ? keyed(key) : context(),
    )
    const note = { type: 'AddNote', noteId: randomUUID(), text: `note ${i}` } as const
    await ledger.incidents.change(incident.id, note, context())
  }
  await ledger.accessKeys.issue(
    { name: 'a key', scopes: ['read'], expiresAt: null, requiresSignature: false },
    context(),
  )
}
