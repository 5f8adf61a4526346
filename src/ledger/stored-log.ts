/** What an event store holds of the ledger for an auditor, below everything that a ledger in use needs: no secret is asked for. */
import { type KeptNote, keptNote, openCheckpoints } from './checkpoints.ts'
import { connectEventStore } from './connection.ts'
import { openRawStore, type RawEvent } from './copy/raw-store.ts'
import { entryOf } from './entry.ts'
import type { LedgerPosition } from './event.ts'
import { ledgerPrefixes } from './streams.ts'

/** An event as the store has it, byte for byte. */
export type StoredBytes = Pick<RawEvent, 'stream' | 'revision' | 'id' | 'type' | 'data' | 'metadata'> & {
  readonly isJson: boolean
}

export interface StoredLedger {
  /** The entries of the ledger, oldest first, in batches, to its end as it is now. */
  readonly entries: () => AsyncIterable<readonly Buffer[]>
  /** All notes, oldest first, in pages. */
  readonly notes: () => AsyncIterable<readonly KeptNote[]>
  readonly newest: () => Promise<KeptNote | undefined>
  readonly close: () => Promise<void>
}

const eventsAPage = 2_000
const notesAPage = 1_000
const timeoutMs = 30_000

/** Of a store that is served. Its methods throw `event-store-unavailable`. Throws where `url` is no connection string. */
export function openStoredLedger(url: string): StoredLedger {
  const raw = openRawStore(url)
  const store = connectEventStore(url)
  const { read, last } = openCheckpoints(store, '', timeoutMs)
  return {
    async *entries() {
      for (let after: LedgerPosition | undefined; ; ) {
        const page = await raw.readAll({ after, prefixes: ledgerPrefixes, maxCount: eventsAPage })
        yield page.map((event) => storedEntry({ ...event, isJson: event.contentType === jsonType }))
        if (page.length < eventsAPage) return
        after = page.at(-1)?.position
      }
    },
    async *notes() {
      for (let from = 0; ; from += notesAPage) {
        const page = await read(from, notesAPage)
        yield page
        if (page.length < notesAPage) return
      }
    },
    newest: last,
    close: async () => {
      await store.close()
      await raw.close()
    },
  }
}

const jsonType = 'application/json'

/** The same entry that a notary makes of the event, which reads it by db-client: data as their content type says, metadata as they look. */
export function storedEntry({ isJson, data, metadata, ...event }: StoredBytes): Buffer {
  const text = Buffer.from(data).toString()
  const entry = entryOf({
    ...event,
    data: isJson ? parsed(text, text) : data,
    metadata: metadata.length === 0 ? undefined : parsed(Buffer.from(metadata).toString(), metadata),
  })
  return Buffer.from(entry)
}

/** The note that an event of the stream `ledger-checkpoints` keeps. */
export function storedNote({ revision, type, data }: StoredBytes): KeptNote {
  return keptNote({ revision, type, data: parsed(Buffer.from(data).toString(), undefined) })
}

function parsed(text: string, otherwise: unknown): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return otherwise
  }
}
