/**
 * The log as static files (C2SP tlog-tiles): hashes in tiles of 256, entries in bundles of 256, both at paths that never change
 * their content. A tile of level L holds hashes of the tree's level 8 L.
 */
import { type Hash, hashBytes, hashOfNode, type Subtree } from './merkle.ts'

/** Hashes a full tile holds, and entries a full bundle. */
export const tileWidth = 256
/** Levels of the tree that one level of tiles spans. */
export const tileHeight = 8
/** An entry's length is written in 16 bits. */
export const longestEntryBytes = 65_535
/** Six levels of 256 hold 2^48 leaves; the format allows more. */
const mostTileLevels = 6

export interface Tile {
  readonly level: number
  readonly index: number
  /** 1 to 256 hashes. */
  readonly width: number
}

/** The path of a tile below the log's address: `tile/1/x001/067.p/8`. */
export function tilePath({ level, index, width }: Tile): string {
  return `tile/${level}/${numberPath(index)}${partial(width)}`
}

/** The path of a bundle of entries below the log's address: `tile/entries/x001/067.p/8`. */
export function entriesPath(index: number, width: number): string {
  return `tile/entries/${numberPath(index)}${partial(width)}`
}

/** What follows `tile/` in a path; undefined where it is none in the one form there is. */
export function readTilePath(
  path: string,
): (Omit<Tile, 'level'> & { level: number | 'entries' }) | undefined {
  const [, levelText = '', groups = '', widthText] =
    /^(entries|0|[1-9]\d?)\/((?:x\d{3}\/){0,4}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(path) ?? []
  const index = Number(groups.replaceAll(/[x/]/g, '') || Number.NaN)
  const level = levelText === 'entries' ? levelText : Number(levelText)
  const width = widthText === undefined ? tileWidth : Number(widthText)
  if (!Number.isSafeInteger(index) || numberPath(index) !== groups) return undefined
  if (level !== 'entries' && level >= mostTileLevels) return undefined
  if (width > tileWidth || (widthText !== undefined && width === tileWidth)) return undefined
  return { level, index, width }
}

/** The tiles that a tree of this size has grown since it had `before` leaves: full ones, and the partial one at each level's end. */
export function tilesBetween(before: number, size: number): Tile[] {
  const tiles: Tile[] = []
  for (let level = 0; ; level += 1) {
    const had = hashesAt(level, before)
    const has = hashesAt(level, size)
    if (has === 0) return tiles
    if (has === had) continue
    for (let index = Math.floor(had / tileWidth); index * tileWidth < has; index += 1) {
      tiles.push({ level, index, width: Math.min(tileWidth, has - index * tileWidth) })
    }
  }
}

/** Where a subtree's hash is found: the tile, and the hashes in it that make it. */
export function placeOf({ level, index }: Subtree): {
  level: number
  index: number
  start: number
  count: number
} {
  const count = 2 ** (level % tileHeight)
  const first = index * count
  return {
    level: Math.floor(level / tileHeight),
    index: Math.floor(first / tileWidth),
    start: first % tileWidth,
    count,
  }
}

/** The hash of a complete subtree within a tile's bytes. */
export function hashInTile(tile: Buffer, start: number, count: number): Hash {
  if (count === 1) {
    const found = tile.subarray(start * hashBytes, (start + 1) * hashBytes)
    if (found.length !== hashBytes) throw new RangeError('the tile is narrower than the tree needs it to be')
    return found
  }
  return hashOfNode(hashInTile(tile, start, count / 2), hashInTile(tile, start + count / 2, count / 2))
}

/** Entries as a bundle holds them: each with its length, 16 bits, big-endian, before it. */
export function bundleOf(entries: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    entries.flatMap((entry) => {
      if (entry.length > longestEntryBytes)
        throw new RangeError(`an entry has at most ${longestEntryBytes} bytes`)
      const length = Buffer.alloc(2)
      length.writeUInt16BE(entry.length)
      return [length, entry]
    }),
  )
}

/** @throws RangeError where the bundle is cut short or has something left over. */
export function entriesOf(bundle: Buffer): Buffer[] {
  const entries: Buffer[] = []
  let at = 0
  while (at < bundle.length) {
    const start = at + 2
    const end = start + (start <= bundle.length ? bundle.readUInt16BE(at) : Number.POSITIVE_INFINITY)
    if (end > bundle.length)
      throw new RangeError(`the bundle ends in the middle of its entry ${entries.length}`)
    entries.push(bundle.subarray(start, end))
    at = end
  }
  return entries
}

function hashesAt(tileLevel: number, size: number): number {
  return Math.floor(size / tileWidth ** tileLevel)
}

function partial(width: number): string {
  return width === tileWidth ? '' : `.p/${width}`
}

/** 1234067 → x001/x234/067 */
function numberPath(value: number): string {
  const digits = String(value)
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0')
  const groups = padded.match(/\d{3}/g) ?? []
  return groups.map((group, place) => (place === groups.length - 1 ? group : `x${group}`)).join('/')
}
