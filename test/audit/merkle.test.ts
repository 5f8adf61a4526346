import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  consistencyRanges,
  emptyRoot,
  growingTree,
  type Hash,
  hashOfLeaf,
  hashOfNode,
  hashOfSubtrees,
  inclusionRanges,
  type LeafRange,
  provesConsistency,
  provesInclusion,
  type Subtree,
  subtreesOf,
} from '../../src/audit/merkle.ts'

/** The eight leaves that the tests of RFC 6962's implementations share, and the roots of the trees they make. */
const rfcLeaves = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
]
const rfcRoot = '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328'

/** The definition of the Merkle tree hash in RFC 6962, word for word and slow. */
function rootByDefinition(leaves: readonly Hash[]): Hash {
  if (leaves.length === 0) return emptyRoot
  if (leaves.length === 1) return leaves[0] ?? emptyRoot
  let split = 1
  while (split * 2 < leaves.length) split *= 2
  return hashOfNode(rootByDefinition(leaves.slice(0, split)), rootByDefinition(leaves.slice(split)))
}

/** A tree whose complete subtrees are all kept. */
function keptTree(size: number) {
  const nodes = new Map<string, Hash>()
  const roots = [emptyRoot]
  const tree = growingTree()
  for (let index = 0; index < size; index += 1) {
    for (const { level, index: place, hash } of tree.append(hashOfLeaf(Buffer.from(`leaf ${index}`)))) {
      nodes.set(`${level}/${place}`, hash)
    }
    roots.push(tree.root())
  }
  const hashOf = ({ level, index }: Subtree) => nodes.get(`${level}/${index}`) ?? emptyRoot
  const proofOf = (ranges: readonly LeafRange[]) =>
    ranges.map((range) => hashOfSubtrees(subtreesOf(range).map(hashOf)))
  return {
    leaf: (index: number) => hashOf({ level: 0, index }),
    leaves: () => Array.from({ length: size }, (_, index) => hashOf({ level: 0, index })),
    checkpoint: (at: number) => ({ size: at, root: roots[at] ?? emptyRoot }),
    inclusion: (index: number, at: number) => proofOf(inclusionRanges(index, at)),
    consistency: (older: number, newer: number) => proofOf(consistencyRanges(older, newer)),
  }
}

const largest = 2_000
const tree = keptTree(largest)

/** Every way of altering one thing in a proof: a bit in a hash, a hash left out, one doubled. */
function alterationsOf(proof: readonly Hash[]): Hash[][] {
  return [
    ...proof.map((_, at) =>
      proof.map((hash, place) => {
        const copy = Buffer.from(hash)
        if (place === at) copy.writeUInt8(copy.readUInt8(7) ^ 1, 7)
        return copy
      }),
    ),
    ...proof.map((_, at) => proof.toSpliced(at, 1)),
    [...proof, proof.at(-1) ?? emptyRoot],
  ]
}

test('the root of the known leaves is the known one', () => {
  const known = growingTree()
  for (const leaf of rfcLeaves) known.append(hashOfLeaf(Buffer.from(leaf, 'hex')))
  expect(known.root().toString('hex')).toBe(rfcRoot)
  expect(emptyRoot.toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
})

test('a growing tree has at every size the root that the definition gives', () => {
  for (let size = 0; size <= 130; size += 1) {
    expect(tree.checkpoint(size).root).toEqual(rootByDefinition(tree.leaves().slice(0, size)))
  }
})

test('a tree grows on from the hashes of its complete subtrees as if it had never stopped', () => {
  for (const size of [0, 1, 7, 8, 1_000]) {
    const resumed = growingTree(size, peaksOf(size))
    for (let index = size; index < size + 9; index += 1) resumed.append(tree.leaf(index))
    expect(resumed.root()).toEqual(tree.checkpoint(size + 9).root)
  }
  expect(() => growingTree(3, []).append(tree.leaf(3))).toThrow('too few peaks')
})

test('every leaf is proved to be in every tree of up to 256 leaves, and by no altered proof', () => {
  let wrong = 0
  for (let size = 1; size <= 256; size += 1) {
    const { root } = tree.checkpoint(size)
    for (let index = 0; index < size; index += 1) {
      const proof = tree.inclusion(index, size)
      if (!provesInclusion(tree.leaf(index), index, size, proof, root)) wrong += 1
      if (index % 17 !== size % 17) continue
      wrong += alterationsOf(proof).filter((altered) =>
        provesInclusion(tree.leaf(index), index, size, altered, root),
      ).length
    }
  }
  expect(wrong).toBe(0)
})

test('every tree is proved to be a beginning of every later one of up to 256 leaves, and by no altered proof', () => {
  let wrong = 0
  for (let newer = 1; newer <= 256; newer += 1) {
    for (let older = 0; older <= newer; older += 1) {
      const proof = tree.consistency(older, newer)
      const [before, after] = [tree.checkpoint(older), tree.checkpoint(newer)]
      if (!provesConsistency(before, after, proof)) wrong += 1
      if (older % 17 !== newer % 17) continue
      wrong += alterationsOf(proof).filter((altered) => provesConsistency(before, after, altered)).length
      if (
        older < newer &&
        older > 0 &&
        provesConsistency({ ...before, root: tree.checkpoint(older - 1).root }, after, proof)
      ) {
        wrong += 1
      }
    }
  }
  expect(wrong).toBe(0)
})

const places = fc
  .tuple(fc.integer({ min: 1, max: largest }), fc.nat({ max: largest }))
  .map(([size, other]) => ({ size, index: other % size }))

test('in trees of up to 2,000 leaves a leaf is proved at its place only', () => {
  fc.assert(
    fc.property(places, fc.nat({ max: largest - 1 }), ({ size, index }, other) => {
      const proof = tree.inclusion(index, size)
      const { root } = tree.checkpoint(size)
      expect(provesInclusion(tree.leaf(index), index, size, proof, root)).toBe(true)
      expect(
        alterationsOf(proof).some((altered) => provesInclusion(tree.leaf(index), index, size, altered, root)),
      ).toBe(false)
      if (other === index) return
      expect(provesInclusion(tree.leaf(other), index, size, proof, root)).toBe(false)
      expect(provesInclusion(tree.leaf(index), other, size, proof, root)).toBe(false)
      expect(provesInclusion(tree.leaf(index), index, size, proof, tree.checkpoint(size - 1).root)).toBe(
        false,
      )
    }),
  )
})

test('trees of up to 2,000 leaves are consistent with their beginnings only', () => {
  fc.assert(
    fc.property(places, ({ size: newer, index: older }) => {
      const proof = tree.consistency(older, newer)
      const [before, after] = [tree.checkpoint(older), tree.checkpoint(newer)]
      expect(provesConsistency(before, after, proof)).toBe(true)
      if (older === 0) return
      expect(alterationsOf(proof).some((altered) => provesConsistency(before, after, altered))).toBe(false)
      expect(provesConsistency(before, { ...after, root: emptyRoot }, proof)).toBe(false)
    }),
  )
})

test('a place outside the tree has no proof', () => {
  expect(() => inclusionRanges(3, 3)).toThrow('leaf 3 is not in a tree of 3 leaves')
  expect(() => consistencyRanges(4, 3)).toThrow(RangeError)
  expect(provesInclusion(tree.leaf(0), 3, 3, [], emptyRoot)).toBe(false)
  expect(provesInclusion(tree.leaf(0), 0, 2, [tree.leaf(1).subarray(1)], tree.checkpoint(2).root)).toBe(false)
})

test('the proofs of trees beyond 32 bits are planned without loss', () => {
  const size = 2 ** 45 + 3
  expect(inclusionRanges(size - 1, size)).toEqual([
    { start: size - 3, end: size - 1 },
    { start: 0, end: 2 ** 45 },
  ])
  expect(subtreesOf({ start: 0, end: size }).map(({ level }) => level)).toEqual([45, 1, 0])
})

function peaksOf(size: number): Hash[] {
  const leaves = tree.leaves()
  return subtreesOf({ start: 0, end: size }).map(({ level, index }) =>
    rootByDefinition(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)),
  )
}
