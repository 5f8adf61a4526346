import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { growingTree, hashOfLeaf } from '../../../src/audit/merkle.ts'
import { bundleOf, entriesOf, longestEntryBytes, tileWidth } from '../../../src/audit/tiles.ts'
import { type Edge, openGrowth } from '../../../src/projections/notary/growth.ts'

const empty: Edge = { size: 0, tiles: new Map(), bundle: Buffer.alloc(0) }
/** ASCII mostly; sometimes as long as an entry may be, in characters of one byte or three. */
const entry = fc.oneof(
  { weight: 50, arbitrary: fc.string({ maxLength: 30 }) },
  { weight: 10, arbitrary: fc.string({ unit: 'grapheme', maxLength: 30 }) },
  { weight: 1, arbitrary: fc.constant('x'.repeat(longestEntryBytes)) },
  { weight: 1, arbitrary: fc.constant('字'.repeat(longestEntryBytes / 3)) },
)

test('whenever it is written, and whenever it begins anew, it holds the entries, and hashes their tree', () => {
  void fc.assert(
    fc.property(
      fc.array(fc.array(entry, { maxLength: 200 }), { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      (batches, anew) => {
        const bundles = new Map<number, Buffer>()
        const leaves = new Map<number, Buffer>()
        let growth = openGrowth(empty)
        for (const batch of batches) {
          for (const one of batch) growth.take(one)
          const grown = growth.grown()
          for (const { index, entries } of grown.bundles) bundles.set(index, Buffer.from(entries))
          for (const { level, index, hashes } of grown.tiles)
            if (level === 0) leaves.set(index, Buffer.from(hashes))
          if (!anew) continue
          const size = growth.size()
          const last = Math.floor(size / tileWidth)
          const isOpen = size % tileWidth > 0
          const edge = (of: ReadonlyMap<number, Buffer>) =>
            (isOpen ? of.get(last) : undefined) ?? Buffer.alloc(0)
          // Of so few entries there is one tile at most above the leaves, with the hashes of their full tiles.
          const above = Buffer.concat(Array.from({ length: last }, (_, tile) => rootOf(leaves.get(tile))))
          growth = openGrowth({
            size,
            tiles: new Map(
              [[0, edge(leaves)] as const, [1, above] as const].filter(([, of]) => of.length > 0),
            ),
            bundle: edge(bundles),
          })
        }
        const all = batches.flat()
        const held = Array.from({ length: bundles.size }, (_, n) =>
          entriesOf(bundles.get(n) ?? Buffer.alloc(0)),
        ).flat()
        expect(held.map(String)).toEqual(all)
        const hashes = all.map((one) => hashOfLeaf(Buffer.from(one)))
        expect(
          Buffer.concat(Array.from({ length: leaves.size }, (_, n) => leaves.get(n) ?? Buffer.alloc(0))),
        ).toEqual(Buffer.concat(hashes))
        const tree = growingTree()
        for (const hash of hashes) tree.append(hash)
        expect(growth.root()).toEqual(tree.root())
      },
    ),
    { numRuns: 200 },
  )
})

/** Of a full tile. */
function rootOf(hashes: Buffer = Buffer.alloc(0)): Buffer {
  const tree = growingTree()
  for (let at = 0; at < hashes.length; at += 32) tree.append(hashes.subarray(at, at + 32))
  return tree.root()
}

test('a bundle is as C2SP has it: each entry after its length', () => {
  const growth = openGrowth(empty)
  const entries = Array.from({ length: tileWidth }, (_, n) => `entry ${n} 字`)
  for (const one of entries) growth.take(one)
  expect(growth.grown().bundles).toEqual([
    { index: 0, entries: bundleOf(entries.map((one) => Buffer.from(one))) },
  ])
})

test('an entry that is longer than any may be is refused', () => {
  const growth = openGrowth(empty)
  expect(() => growth.take('x'.repeat(longestEntryBytes + 1))).toThrow(RangeError)
})
