/**
 * The Merkle tree of RFC 6962 section 2.1 and RFC 9162 section 2.1, over SHA-256. Pure: whoever keeps the hashes hands them in.
 * Sizes and indexes are whole numbers below 2^53, so no bit operators, which stop at 32.
 */
import { hash } from 'node:crypto'

/** 32 bytes. */
export type Hash = Buffer
export const hashBytes = 32

/** Root of the tree without leaves. */
export const emptyRoot: Hash = sha256(Buffer.alloc(0))

/** A complete subtree: 2^level leaves from `index * 2^level` on. */
export interface Subtree {
  readonly level: number
  readonly index: number
}

/** The leaves from `start` up to, not including, `end`. */
export interface LeafRange {
  readonly start: number
  readonly end: number
}

/** What is hashed is put together here. */
const leafWorkspace = Buffer.alloc(64 * 1_024)
const nodeWorkspace = Buffer.of(1, ...Buffer.alloc(2 * hashBytes))

/** @param leaf its bytes, or a text whose UTF-8 they are. */
export function hashOfLeaf(leaf: Uint8Array | string): Hash {
  if (typeof leaf === 'string') return hashOfLeaf(Buffer.from(leaf))
  const length = 1 + leaf.length
  const target = length <= leafWorkspace.length ? leafWorkspace : Buffer.alloc(length)
  target.set(leaf, 1)
  return sha256(target.subarray(0, length))
}

export function hashOfNode(left: Hash, right: Hash): Hash {
  nodeWorkspace.set(left, 1)
  nodeWorkspace.set(right, 1 + hashBytes)
  return sha256(nodeWorkspace)
}

/** The ranges whose hashes prove that leaf `index` is in the tree of `size` leaves, from the leaf upwards. */
export function inclusionRanges(index: number, size: number): LeafRange[] {
  requirePlace(index, size)
  const upwards: LeafRange[] = []
  let start = 0
  let end = size
  while (end - start > 1) {
    const middle = start + splitOf(end - start)
    if (index < middle) {
      upwards.unshift({ start: middle, end })
      end = middle
    } else {
      upwards.unshift({ start, end: middle })
      start = middle
    }
  }
  return upwards
}

/** The ranges whose hashes prove that the tree of `older` leaves is a beginning of that of `newer` leaves, from below upwards. */
export function consistencyRanges(older: number, newer: number): LeafRange[] {
  if (older === 0 || older === newer) return []
  requirePlace(older - 1, newer)
  const upwards: LeafRange[] = []
  let start = 0
  let end = newer
  let isOlderRoot = true
  while (end !== older) {
    const middle = start + splitOf(end - start)
    if (older <= middle) {
      upwards.unshift({ start: middle, end })
      end = middle
    } else {
      upwards.unshift({ start, end: middle })
      start = middle
      isOlderRoot = false
    }
  }
  if (!isOlderRoot) upwards.unshift({ start, end })
  return upwards
}

/** The complete subtrees that a range is made of, from left to right; their hashes make its hash. */
export function subtreesOf({ start, end }: LeafRange): Subtree[] {
  const subtrees: Subtree[] = []
  let from = start
  while (from < end) {
    let level = 0
    while (from % 2 ** (level + 1) === 0 && from + 2 ** (level + 1) <= end) level += 1
    subtrees.push({ level, index: from / 2 ** level })
    from += 2 ** level
  }
  return subtrees
}

/** The hash of a range, of the hashes of its complete subtrees from left to right. */
export function hashOfSubtrees(hashes: readonly Hash[]): Hash {
  return (
    hashes.reduceRight<Hash | undefined>(
      (right, left) => (right === undefined ? left : hashOfNode(left, right)),
      undefined,
    ) ?? emptyRoot
  )
}

/** Whether the proof leads from the leaf's hash at `index` to the root of the tree of `size` leaves (RFC 9162, 2.1.3.2). */
export function provesInclusion(
  leaf: Hash,
  index: number,
  size: number,
  proof: readonly Hash[],
  root: Hash,
): boolean {
  if (!isPlace(index, size) || !proof.every(isHash)) return false
  let here = index
  let last = size - 1
  let folded = leaf
  for (const sibling of proof) {
    if (last === 0) return false
    if (here % 2 === 1 || here === last) {
      folded = hashOfNode(sibling, folded)
      while (here % 2 === 0 && here !== 0) {
        here = half(here)
        last = half(last)
      }
    } else {
      folded = hashOfNode(folded, sibling)
    }
    here = half(here)
    last = half(last)
  }
  return last === 0 && folded.equals(root)
}

/** Whether the proof shows the older tree to be a beginning of the newer one (RFC 9162, 2.1.4.2). */
export function provesConsistency(
  older: { readonly size: number; readonly root: Hash },
  newer: { readonly size: number; readonly root: Hash },
  proof: readonly Hash[],
): boolean {
  if (older.size === newer.size) return proof.length === 0 && older.root.equals(newer.root)
  if (older.size === 0) return proof.length === 0 && older.root.equals(emptyRoot)
  if (!isPlace(older.size - 1, newer.size) || !proof.every(isHash)) return false
  const [first, ...rest] = Number.isInteger(Math.log2(older.size)) ? [older.root, ...proof] : proof
  if (first === undefined) return false
  let here = older.size - 1
  let last = newer.size - 1
  while (here % 2 === 1) {
    here = half(here)
    last = half(last)
  }
  let olderFolded = first
  let newerFolded = first
  for (const sibling of rest) {
    if (last === 0) return false
    if (here % 2 === 1 || here === last) {
      olderFolded = hashOfNode(sibling, olderFolded)
      newerFolded = hashOfNode(sibling, newerFolded)
      while (here % 2 === 0 && here !== 0) {
        here = half(here)
        last = half(last)
      }
    } else {
      newerFolded = hashOfNode(newerFolded, sibling)
    }
    here = half(here)
    last = half(last)
  }
  return last === 0 && olderFolded.equals(older.root) && newerFolded.equals(newer.root)
}

/** A tree that only grows: it keeps the hashes of its complete subtrees, at most one a level, and nothing else. */
export interface GrowingTree {
  readonly size: () => number
  readonly root: () => Hash
  /** Of which the same tree grows on: `growingTree(tree.size(), tree.peaks())`. */
  readonly peaks: () => readonly Hash[]
  /** @returns the subtrees that this leaf completes, from the leaf itself upwards. */
  readonly append: (leaf: Hash) => (Subtree & { readonly hash: Hash })[]
}

/** @param peaks the hashes of `subtreesOf({ start: 0, end: size })`, from left to right. */
export function growingTree(size = 0, peaks: readonly Hash[] = []): GrowingTree {
  const stack = [...peaks]
  let count = size
  return {
    size: () => count,
    root: () => hashOfSubtrees(stack),
    peaks: () => [...stack],
    append(leaf) {
      const completed = [{ level: 0, index: count, hash: leaf }]
      let folded = leaf
      count += 1
      for (let level = 1; count % 2 ** level === 0; level += 1) {
        const left = stack.pop()
        if (left === undefined) throw new Error('a growing tree was begun with too few peaks for its size')
        folded = hashOfNode(left, folded)
        completed.push({ level, index: count / 2 ** level - 1, hash: folded })
      }
      stack.push(folded)
      return completed
    },
  }
}

/** The largest power of two below the size. */
function splitOf(size: number): number {
  let split = 1
  while (split * 2 < size) split *= 2
  return split
}

function half(value: number): number {
  return Math.floor(value / 2)
}

function isPlace(index: number, size: number): boolean {
  return Number.isSafeInteger(size) && Number.isSafeInteger(index) && index >= 0 && index < size
}

function requirePlace(index: number, size: number): void {
  if (!isPlace(index, size)) throw new RangeError(`leaf ${index} is not in a tree of ${size} leaves`)
}

function isHash(value: Hash): boolean {
  return value.length === hashBytes
}

function sha256(bytes: Uint8Array): Hash {
  return Buffer.from(hash('sha256', bytes, 'latin1'), 'latin1') // quicker than a buffer of its own
}
