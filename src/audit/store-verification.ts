/** Verifies what an event store itself holds of a log: every event and every note, without the word of whoever serves it. */
import type { KeptNote } from '../ledger/checkpoints.ts'
import type { StoredLedger } from '../ledger/stored-log.ts'
import { sizeOfNote } from './checkpoint.ts'
import { expectKnown } from './known.ts'
import { logScan } from './log-scan.ts'
import type { LogFiles, LogVerdict } from './log-verification.ts'
import { hashBytes } from './merkle.ts'
import { type ListedNote, noteList } from './note-list.ts'
import type { NoteVerifier } from './signed-note.ts'
import { entriesOf, tileWidth } from './tiles.ts'
import { isTrusted, type TrustedNote, trustedNote } from './trusted-note.ts'

export interface StoreVerificationOptions {
  readonly store: Pick<StoredLedger, 'entries' | 'notes' | 'newest'>
  readonly verifiers: readonly NoteVerifier[]
  /** Notes and bundles kept from before: the log must still be the one that they are of. */
  readonly known?: readonly string[]
  /** What a service serves of the same log: by its tiles, the event that differs has a name. */
  readonly served?: Pick<LogFiles, 'checkpoint' | 'tile' | 'entries'> | undefined
  /** Told after each tile, with as many as the store's newest note promises, or as there are. */
  readonly onProgress?: (size: number, of: number) => void
  readonly signal: AbortSignal
}

/** @throws the signal's reason when it aborts, and what `store` and `served` throw. */
export async function verifyStore({
  store,
  verifiers,
  known = [],
  served,
  onProgress,
  signal,
}: StoreVerificationOptions): Promise<LogVerdict> {
  const scan = logScan()
  const last = await store.newest()
  const newest = last && trustedNote(last.note, verifiers, listed(last).name)
  const note = newest && isTrusted(newest) ? newest : undefined
  if (last === undefined) scan.report({ code: 'missing', message: 'the event store has no signed note' })
  const origin = note?.checkpoint.origin ?? verifiers[0]?.name ?? ''
  expectKnown(known, verifiers, scan, origin)
  const tiles = served && (await openTiles(served))
  const signed = noteList(listedNotes(), verifiers, scan, { origin, size: Number.POSITIVE_INFINITY })

  for await (const entries of inTiles(store.entries())) {
    signal.throwIfAborted()
    const index = scan.size() / tileWidth
    await signed.upTo(scan.size() + entries.length)
    const wasSame = scan.firstMismatch() === undefined
    scan.add(entries, await tiles?.hashes(index))
    if (wasSame) await recall(scan.firstMismatch())
    onProgress?.(scan.size(), Math.max(scan.size(), note?.checkpoint.size ?? 0))
  }
  await signed.upTo(Number.POSITIVE_INFINITY)
  await recall(scan.size())
  return {
    ...(note && { note }),
    events: scan.size(),
    streams: scan.streams(),
    findings: scan.findings(),
  }

  /** As they are now: one that is signed meanwhile is over events that may not have been read. */
  async function* listedNotes(): AsyncGenerator<readonly ListedNote[]> {
    let next = 0
    for await (const page of store.notes()) {
      for (const { revision } of page) {
        if (revision !== next) {
          const message = `revision ${next} of the stream of notes is not there, but revision ${revision} is: notes were removed`
          scan.report({ code: 'missing', message })
        }
        next = revision + 1
      }
      yield page.filter(({ revision }) => revision <= (last?.revision ?? -1)).map(listed)
    }
  }

  async function openTiles(files: NonNullable<typeof served>) {
    const checkpoint = await files.checkpoint()
    if (checkpoint === undefined) return undefined
    const read = trustedNote(checkpoint, verifiers, 'the note that is served')
    if (!isTrusted(read)) {
      scan.report(read)
      return undefined
    }
    scan.expect(read, 'the note that is served')
    return servedTiles(files, read)
  }

  async function recall(index: number | undefined): Promise<void> {
    const entry = index === undefined ? undefined : await tiles?.entry(index)
    if (index !== undefined && entry !== undefined) scan.recall(index, entry)
  }
}

function listed({ revision, note }: KeptNote): ListedNote & { readonly name: string } {
  const size = sizeOfNote(note)
  const place = `revision ${revision} of ledger-checkpoints`
  return { size, note, name: size === null ? place : `the note with ${size} events (${place})` }
}

/** As far as the note promises them. */
function servedTiles(files: Pick<LogFiles, 'tile' | 'entries'>, { checkpoint: { size } }: TrustedNote) {
  const widthAt = (index: number) => Math.min(tileWidth, size - index * tileWidth)
  return {
    /** Of the entries of a tile, as many as there are; none where the tile is not served, or is none. */
    async hashes(index: number): Promise<Buffer | undefined> {
      const width = widthAt(index)
      const hashes = width > 0 ? await files.tile(0, index, width) : undefined
      return hashes?.length === width * hashBytes ? hashes : undefined
    },
    async entry(at: number): Promise<Buffer | undefined> {
      const index = Math.floor(at / tileWidth)
      const width = widthAt(index)
      const bundle = at < size ? await files.entries(index, width) : undefined
      try {
        return bundle && entriesOf(bundle)[at % tileWidth]
      } catch (error) {
        if (error instanceof RangeError) return undefined
        throw error
      }
    },
  }
}

async function* inTiles(batches: AsyncIterable<readonly Buffer[]>): AsyncGenerator<readonly Buffer[]> {
  let entries: Buffer[] = []
  for await (const batch of batches) {
    for (const entry of batch) {
      entries.push(entry)
      if (entries.length < tileWidth) continue
      yield entries
      entries = []
    }
  }
  if (entries.length > 0) yield entries
}
