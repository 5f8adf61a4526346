import {
  type GrowingTree,
  growingTree,
  type Hash,
  hashBytes,
  hashOfLeaf,
  subtreesOf,
} from '../../audit/merkle.ts'
import {
  entriesOf,
  hashInTile,
  longestEntryBytes,
  placeOf,
  tileHeight,
  tileWidth,
} from '../../audit/tiles.ts'

const lengthBytes = 2
const usualBundleBytes = tileWidth * 700
/** The next bundle is about as long as the one before; and of each entry room is made for the most that it may be. */
const spareBytes = 8_192
/** A UTF-16 unit becomes at most so many of UTF-8. */
const mostBytesAUnit = 3

/** What is not full of the tiles of a tree: what it takes to go on growing it. */
export interface Edge {
  readonly size: number
  /** By tile level, the hashes of the last tile, where it is not full. */
  readonly tiles: ReadonlyMap<number, Buffer>
  /** The last bundle of entries, where it is not full. */
  readonly bundle: Buffer
}

/** Tiles and bundles as they now are, which were not so when this was last asked. */
export interface Grown {
  readonly tiles: readonly { readonly level: number; readonly index: number; readonly hashes: Buffer }[]
  readonly bundles: readonly { readonly index: number; readonly entries: Buffer }[]
}

/** A tree that grows by entries, and its tiles with it. Only what is not written yet, and the edge, is in memory. */
export interface Growth {
  readonly size: () => number
  readonly root: () => Hash
  /** @throws RangeError for an entry of more than `longestEntryBytes`. */
  readonly take: (entry: string) => void
  /** What has grown since this was last called. */
  readonly grown: () => Grown
}

/** @throws RangeError where the edge is not one of a tree of this size. */
export function openGrowth(edge: Edge): Growth {
  const tree = treeOf(edge)
  const tiles = new Map(Array.from(edge.tiles, ([level, hashes]) => [level, openTile(hashes)]))
  const bundle = openBundle(edge)
  const full: { tiles: Grown['tiles'][number][]; bundles: Grown['bundles'][number][] } = {
    tiles: [],
    bundles: [],
  }
  const changed = new Set<number>()

  function keep(level: number, index: number, hash: Hash): void {
    const tile = tiles.get(level) ?? openTile()
    tiles.set(level, tile)
    if (tile.add(hash) < tileWidth) {
      changed.add(level)
      return
    }
    full.tiles.push({ level, index: Math.floor(index / tileWidth), hashes: tile.hashes() })
    tiles.delete(level)
    changed.delete(level)
  }

  return {
    size: tree.size,
    root: tree.root,
    take(entry) {
      for (const { level, index, hash } of tree.append(hashOfLeaf(bundle.add(entry)))) {
        if (level % tileHeight === 0) keep(level / tileHeight, index, hash)
      }
      const finished = bundle.finished()
      if (finished) full.bundles.push({ index: Math.floor((tree.size() - 1) / tileWidth), entries: finished })
    },
    grown() {
      const partial = Array.from(changed, (level) => ({
        level,
        index: Math.floor(tree.size() / tileWidth ** (level + 1)),
        hashes: tiles.get(level)?.hashes() ?? Buffer.alloc(0),
      }))
      const entries = bundle.changed()
      const grown = {
        tiles: [...full.tiles, ...partial],
        bundles: entries
          ? [...full.bundles, { index: Math.floor(tree.size() / tileWidth), entries }]
          : [...full.bundles],
      }
      full.tiles.length = 0
      full.bundles.length = 0
      changed.clear()
      return grown
    },
  }
}

function treeOf({ size, tiles }: Edge): GrowingTree {
  for (let level = 0, count = size; count > 0; level += 1, count = Math.floor(count / tileWidth)) {
    const width = (tiles.get(level)?.length ?? 0) / hashBytes
    if (width !== count % tileWidth) {
      throw new RangeError(`the last tile of level ${level} holds ${width} hashes, not ${count % tileWidth}`)
    }
  }
  const peaks = subtreesOf({ start: 0, end: size }).map((subtree) => {
    const { level, start, count } = placeOf(subtree)
    return hashInTile(tiles.get(level) ?? Buffer.alloc(0), start, count)
  })
  return growingTree(size, peaks)
}

function openTile(hashes: Buffer = Buffer.alloc(0)) {
  const bytes = Buffer.alloc(tileWidth * hashBytes)
  let width = hashes.copy(bytes) / hashBytes
  return {
    /** @returns how many hashes there are now. */
    add(hash: Hash): number {
      hash.copy(bytes, width * hashBytes)
      width += 1
      return width
    },
    /** They are never written over, only added to. */
    hashes: () => bytes.subarray(0, width * hashBytes),
  }
}

function openBundle({ size, bundle }: Edge) {
  let count = size % tileWidth
  const had = entriesOf(bundle).length
  if (had !== count) throw new RangeError(`the last bundle holds ${had} entries, not ${count}`)
  let bytes = Buffer.concat([bundle], Math.max(bundle.length, usualBundleBytes))
  let end = bundle.length
  let isChanged = false
  return {
    /** @returns the entry's bytes, where they stand in the bundle. */
    add(entry: string): Buffer {
      const most = end + lengthBytes + mostBytesAUnit * entry.length
      if (most > bytes.length) bytes = Buffer.concat([bytes.subarray(0, end)], 2 * most)
      const start = end + lengthBytes
      const length = bytes.write(entry, start)
      if (length > longestEntryBytes) throw new RangeError(`an entry has at most ${longestEntryBytes} bytes`)
      bytes.writeUInt16BE(length, end)
      end = start + length
      count += 1
      isChanged = true
      return bytes.subarray(start, end)
    },
    /** The bundle where it is full now; then a new one begins. */
    finished(): Buffer | undefined {
      if (count < tileWidth) return undefined
      const full = bytes.subarray(0, end)
      bytes = Buffer.allocUnsafe(end + spareBytes)
      end = 0
      count = 0
      isChanged = false
      return full
    },
    /** The bundle where something was added to it since this was last called. It is never written over, only added to. */
    changed(): Buffer | undefined {
      if (!isChanged) return undefined
      isChanged = false
      return bytes.subarray(0, end)
    },
  }
}
