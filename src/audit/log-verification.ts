/** Verifies a log that is served as files (C2SP tlog-tiles): every entry, tile and note of it. Where the files come from is for others to say. */
import type { Finding } from './finding.ts'
import { expectKnown } from './known.ts'
import { type ExpectedTile, logScan, type ScanState } from './log-scan.ts'
import { type Hash, hashBytes, provesConsistency } from './merkle.ts'
import { type ListedNote, noteList } from './note-list.ts'
import type { NoteVerifier } from './signed-note.ts'
import { entriesOf, tileWidth } from './tiles.ts'
import { isTrusted, type TrustedNote, trustedNote } from './trusted-note.ts'

/** A log's files. A file that is not there is undefined; a log that cannot be asked throws. */
export interface LogFiles {
  /** The newest signed note. */
  readonly checkpoint: () => Promise<string | undefined>
  /** Every note ever signed, by size, in pages. */
  readonly notes: () => AsyncIterable<readonly ListedNote[]>
  readonly entries: (index: number, width: number) => Promise<Buffer | undefined>
  readonly tile: (level: number, index: number, width: number) => Promise<Buffer | undefined>
  readonly consistency: (from: number, to: number) => Promise<readonly Hash[] | undefined>
}

export interface LogVerificationOptions {
  readonly files: LogFiles
  readonly verifiers: readonly NoteVerifier[]
  /** Notes and bundles kept from before: the log must still be the one that they are of. */
  readonly known?: readonly string[]
  /** Of a verification that was interrupted. */
  readonly from?: ScanState | undefined
  /** Told after each tile; `state` makes what the verification can go on from. */
  readonly onProgress?: (size: number, of: number, state: () => ScanState | undefined) => void | Promise<void>
  readonly signal: AbortSignal
}

export interface LogVerdict {
  /** What was verified; undefined where there is no note to begin with. */
  readonly note?: TrustedNote
  readonly events: number
  readonly streams: number
  /** None: the log is the one that was signed. */
  readonly findings: readonly Finding[]
}

/** Tiles that are asked for before they are needed: as many as keep a connection busy, and few enough to hold. */
const ahead = 8

/** @throws the signal's reason when it aborts, and what `files` throws. */
export async function verifyLog({
  files,
  verifiers,
  known = [],
  from,
  onProgress,
  signal,
}: LogVerificationOptions): Promise<LogVerdict> {
  const newest = await files.checkpoint()
  if (newest === undefined) return withoutNote({ code: 'missing', message: 'the log has no signed note' })
  const read = trustedNote(newest, verifiers, 'the newest note')
  if (!isTrusted(read)) return withoutNote(read)
  const { size, origin } = read.checkpoint
  const isResumable = from !== undefined && from.size <= size
  const scan = logScan(isResumable ? from : undefined)
  scan.expect(read, 'the newest note')

  const kept = expectKnown(known, verifiers, scan, origin)
  const signed = noteList(files.notes(), verifiers, scan, { origin, size })
  await scanEntries()
  await signed.upTo(Number.POSITIVE_INFINITY)
  if (scan.size() === size) {
    for (const tile of scan.partialTiles()) await compareTile(tile)
    for (const note of kept) await proveConsistency(note, read)
  }
  return { note: read, events: scan.size(), streams: scan.streams(), findings: scan.findings() }

  async function scanEntries() {
    const asked: Promise<readonly [Buffer | undefined, Buffer | undefined]>[] = []
    const first = Math.floor(scan.size() / tileWidth)
    const end = Math.ceil(size / tileWidth)
    for (let index = first; index < end; index += 1) {
      signal.throwIfAborted()
      while (asked.length < ahead && index + asked.length < end) asked.push(tilesAt(index + asked.length))
      await signed.upTo(Math.min((index + 1) * tileWidth, size))
      const [bundle, hashes] = (await asked.shift()) ?? []
      const isWhole = await addEntries(index, bundle, hashes)
      if (!isWhole) {
        await Promise.allSettled(asked)
        return
      }
      await onProgress?.(scan.size(), size, scan.state)
    }
  }

  /** Resolves to both at once; a rejection is told when it is their turn. */
  function tilesAt(index: number): Promise<readonly [Buffer | undefined, Buffer | undefined]> {
    const width = widthAt(index)
    const both = Promise.all([files.entries(index, width), files.tile(0, index, width)])
    both.catch(() => {})
    return both
  }

  function widthAt(index: number): number {
    return Math.min(tileWidth, size - index * tileWidth)
  }

  /** Whether all the entries of the tile were there. */
  async function addEntries(index: number, bundle: Buffer | undefined, hashes: Buffer | undefined) {
    const width = widthAt(index)
    const at = index * tileWidth
    if (bundle === undefined || hashes === undefined) {
      scan.report({
        code: 'missing',
        index: at,
        message: `the log does not give the ${bundle ? 'hashes' : 'entries'} of events ${at} to ${at + width - 1}, though its note promises ${size} events`,
      })
      return false
    }
    const entries = readEntries(bundle)
    const hashCount = hashes.length / hashBytes
    const count = Math.floor(Math.min(entries?.length ?? 0, hashCount, width))
    for (const tile of scan.add(entries?.slice(0, count) ?? [], hashes)) await compareTile(tile)
    if (entries?.length === width && hashCount === width) return true
    const what = entries ? `${entries.length} entries and ${hashCount} hashes` : 'no whole bundle of entries'
    const message = `the log gives ${what} where its note promises events ${at} to ${at + width - 1}`
    scan.report({ code: 'missing', index: at + count, message })
    return false
  }

  async function compareTile(expected: ExpectedTile) {
    const { level, index, width } = expected
    const served = await files.tile(level, index, width)
    if (served) return scan.compare(expected, served)
    scan.report({ code: 'missing', message: `the log does not give its tile ${index} of level ${level}` })
  }

  async function proveConsistency(older: TrustedNote, newer: TrustedNote) {
    const [from, to] = [older.checkpoint, newer.checkpoint]
    if (from.size > to.size) return
    const proof = await files.consistency(from.size, to.size)
    if (proof && provesConsistency(from, to, proof)) return
    const what = proof ? 'is wrong' : 'is missing'
    scan.report({
      code: 'consistency',
      message: `the proof ${what} that the log with ${to.size} events (root ${to.root.toString('base64')}) goes on from the known note with ${from.size} (root ${from.root.toString('base64')})`,
    })
  }
}

function readEntries(bundle: Buffer): Buffer[] | undefined {
  try {
    return entriesOf(bundle)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function withoutNote(finding: Finding): LogVerdict {
  return { events: 0, streams: 0, findings: [finding] }
}
