/** Proofs that are made of a log as it is served (C2SP tlog-tiles), for any event of it: also of those that no bundle has. */
import { readCheckpoint } from './checkpoint.ts'
import { readEntry } from './log-entry.ts'
import type { LogFiles } from './log-verification.ts'
import {
  type Hash,
  hashBytes,
  hashOfLeaf,
  hashOfSubtrees,
  inclusionRanges,
  provesInclusion,
  subtreesOf,
} from './merkle.ts'
import { readNote } from './signed-note.ts'
import { entriesOf, hashInTile, placeOf, tileWidth } from './tiles.ts'
import type { TlogProof } from './tlog-proof.ts'

export interface ServedProof extends TlogProof {
  readonly entry: Buffer
}

export interface ServedLog {
  /** Events under the newest note; the proofs are of its tree. */
  readonly size: number
  /** @throws Error of one line where there is no such event under the note, or the log does not prove it. */
  readonly proofAt: (index: number) => Promise<ServedProof>
  /** The indexes of a stream's events, in their order: it looks through the entries from the first on. */
  readonly indexesOf: (
    stream: string,
  ) => AsyncGenerator<{ readonly index: number; readonly revision: number }>
}

/** Bundles that are asked for before they are needed. */
const ahead = 8

type Files = Pick<LogFiles, 'checkpoint' | 'tile' | 'entries'>

/** @throws Error of one line where nothing is signed, NoteError where the note is none. Whether its signature holds is for who has the key. */
export async function openServedLog(files: Files): Promise<ServedLog> {
  const note = await files.checkpoint()
  if (note === undefined) throw new Error('the log has no signed note')
  const { size, root } = readCheckpoint(readNote(note).text)
  const widthAt = (level: number, index: number) =>
    Math.min(tileWidth, Math.floor(size / tileWidth ** level) - index * tileWidth)

  async function tileAt(level: number, index: number): Promise<Buffer> {
    const width = widthAt(level, index)
    const tile = await files.tile(level, index, width)
    if (tile?.length === width * hashBytes) return tile
    throw new Error(
      `the log does not give its tile ${index} of level ${level}, though its note promises ${size} events`,
    )
  }

  async function bundleAt(index: number): Promise<readonly Buffer[]> {
    const width = widthAt(0, index)
    const bundle = await files.entries(index, width)
    const entries = bundle ? entriesOf(bundle) : []
    if (entries.length === width) return entries
    throw new Error(
      `the log does not give its bundle ${index} of entries, though its note promises ${size} events`,
    )
  }

  async function hashOf(range: Parameters<typeof subtreesOf>[0]): Promise<Hash> {
    const hashes = subtreesOf(range).map(async (subtree) => {
      const { level, index, start, count } = placeOf(subtree)
      return hashInTile(await tileAt(level, index), start, count)
    })
    return hashOfSubtrees(await Promise.all(hashes))
  }

  return {
    size,
    async proofAt(index) {
      if (index >= size) {
        throw new Error(
          `there is no event ${index} under the newest note, which is over ${size} events: the last is ${size - 1}`,
        )
      }
      const entry = (await bundleAt(Math.floor(index / tileWidth)))[index % tileWidth] ?? Buffer.alloc(0)
      const proof = await Promise.all(inclusionRanges(index, size).map(hashOf))
      if (provesInclusion(hashOfLeaf(entry), index, size, proof, root)) return { index, note, proof, entry }
      throw new Error(
        `the log does not prove its event ${index}: entry and tiles do not lead to the root of its note. \`verify --url\` says more`,
      )
    },
    async *indexesOf(stream) {
      // As it stands in the canonical JSON of an entry: most entries need no reading.
      const mark = Buffer.from(`"stream":${JSON.stringify(stream)}`)
      const asked: Promise<readonly Buffer[]>[] = []
      const end = Math.ceil(size / tileWidth)
      for (let bundle = 0; bundle < end; bundle += 1) {
        while (asked.length < ahead && bundle + asked.length < end) {
          const next = bundleAt(bundle + asked.length)
          next.catch(() => {}) // told when it is its turn
          asked.push(next)
        }
        for (const [place, bytes] of ((await asked.shift()) ?? []).entries()) {
          const entry = bytes.includes(mark) ? readEntry(bytes.toString()) : undefined
          if (entry?.stream === stream) yield { index: bundle * tileWidth + place, revision: entry.revision }
        }
      }
    },
  }
}
