import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { readCheckpoint } from '../../audit/checkpoint.ts'
import { consistencyRanges, type Hash, hashBytes, inclusionRanges } from '../../audit/merkle.ts'
import { readNote } from '../../audit/signed-note.ts'
import { bundleOf, entriesOf, type Tile, tileWidth } from '../../audit/tiles.ts'
import type { Checkpoints, KeptNote } from '../../ledger/checkpoints.ts'
import { answerOf } from '../queries.ts'
import { type NewestNote, readNewestNote } from './newest-note.ts'
import { hashesOfRanges, readBundle, readTile } from './tile-store.ts'

/** The tree as far as it is signed. Each throws ReadModelError; what is beyond the newest note is not there yet. */
export interface SignedLog {
  /** Undefined where nothing was ever signed. */
  readonly newest: () => Promise<Signed | undefined>
  /** The newest as soon as it is over `size` events, or as it is after the time. */
  readonly newestOver: (size: number, timeoutMs: number) => Promise<Signed | undefined>
  /** Undefined where the tile is not, or not so wide, under the newest note. */
  readonly tile: (tile: Tile) => Promise<Buffer | undefined>
  readonly entries: (bundle: Omit<Tile, 'level'>) => Promise<Buffer | undefined>
  /** What proves that each of these leaves is in the tree of `size` leaves, from the leaf upwards. */
  readonly inclusion: (indexes: readonly number[], size: number) => Promise<Hash[][]>
  /** What proves that the tree of `from` leaves is a beginning of that of `to`. */
  readonly consistency: (from: number, to: number) => Promise<Hash[]>
  /** All notes ever signed, by size: those after the first `skip`. Throws LedgerError. */
  readonly notes: (skip: number, maxCount: number) => Promise<readonly KeptNote[]>
}

export interface Signed extends NewestNote {
  readonly root: Hash
}

/** The note is looked for so often while it is waited for; it comes once a second. */
const lookIntervalMs = 50
/** Proofs that are made at a time: each reads tiles of 8 KiB of its own. */
const proofsAtOnce = 250

export function openSignedLog(pool: pg.Pool, checkpoints: Pick<Checkpoints, 'read'>): SignedLog {
  async function newest(): Promise<Signed | undefined> {
    const found = await answerOf(readNewestNote(pool))
    return found && { ...found, root: readCheckpoint(readNote(found.note).text).root }
  }

  async function isSigned({ level, index, width }: Tile): Promise<boolean> {
    const size = (await newest())?.size ?? 0
    return index * tileWidth + width <= Math.floor(size / tileWidth ** level)
  }

  return {
    newest,
    async newestOver(size, timeoutMs) {
      const until = performance.now() + timeoutMs
      for (;;) {
        const found = await newest()
        if ((found && found.size >= size) || performance.now() >= until) return found
        await delay(lookIntervalMs)
      }
    },
    async tile(tile) {
      if (!(await isSigned(tile))) return undefined
      const hashes = await answerOf(readTile(pool, tile))
      return hashes?.subarray(0, tile.width * hashBytes)
    },
    async entries({ index, width }) {
      if (!(await isSigned({ level: 0, index, width }))) return undefined
      const bundle = await answerOf(readBundle(pool, index))
      return bundle && bundleOf(entriesOf(bundle).slice(0, width))
    },
    async inclusion(indexes, size) {
      const proofs: Hash[][] = []
      for (let start = 0; start < indexes.length; start += proofsAtOnce) {
        const ranges = indexes.slice(start, start + proofsAtOnce).map((index) => inclusionRanges(index, size))
        const hashes = await answerOf(hashesOfRanges(pool, ranges.flat()))
        let taken = 0
        for (const { length } of ranges) {
          proofs.push(hashes.slice(taken, taken + length))
          taken += length
        }
      }
      return proofs
    },
    consistency: (from, to) => answerOf(hashesOfRanges(pool, consistencyRanges(from, to))),
    notes: (skip, maxCount) => checkpoints.read(skip, maxCount),
  }
}
