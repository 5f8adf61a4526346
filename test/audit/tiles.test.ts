import fc from 'fast-check'
import { expect, test } from 'vitest'
import { growingTree, type Hash, hashOfLeaf, type Subtree } from '../../src/audit/merkle.ts'
import {
  bundleOf,
  entriesOf,
  entriesPath,
  hashInTile,
  placeOf,
  readTilePath,
  type Tile,
  tilePath,
  tilesBetween,
} from '../../src/audit/tiles.ts'

test('a tile and a bundle have the paths of the format', () => {
  expect(tilePath({ level: 0, index: 1_234_067, width: 256 })).toBe('tile/0/x001/x234/067')
  expect(tilePath({ level: 2, index: 0, width: 7 })).toBe('tile/2/000.p/7')
  expect(entriesPath(273, 256)).toBe('tile/entries/273')
  expect(entriesPath(70_000, 112)).toBe('tile/entries/x070/000.p/112')
})

test('a path is read back as it was written', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 5 }),
      fc.nat({ max: 2 ** 40 }),
      fc.integer({ min: 1, max: 256 }),
      (level, index, width) => {
        expect(readTilePath(tilePath({ level, index, width }).slice('tile/'.length))).toEqual({
          level,
          index,
          width,
        })
        expect(readTilePath(entriesPath(index, width).slice('tile/'.length))).toEqual({
          level: 'entries',
          index,
          width,
        })
      },
    ),
  )
})

test.each([
  '0/67',
  '0/x067',
  '0/067/',
  '0/0067',
  '0/x000/067',
  '00/067',
  '6/000',
  '0/067.p/0',
  '0/067.p/256',
  '0/067.p/300',
  'entries/-01',
  '0/067.p/',
  '',
  '0/x001/x234/067/../000',
])('«%s» is no path of a tile', (path) => {
  expect(readTilePath(path)).toBeUndefined()
})

test('however a tree has grown, its tiles hold the hash of each of its complete subtrees', () => {
  const largest = 66_000 // beyond 256 × 256, so that there are three levels
  const hashes = new Map<string, Hash>()
  const tree = growingTree()
  for (let index = 0; index < largest; index += 1) {
    for (const { level, index: place, hash } of tree.append(hashOfLeaf(Buffer.from(String(index))))) {
      hashes.set(`${level}/${place}`, hash)
    }
  }
  const bytesOf = ({ level, index, width }: Tile) =>
    Buffer.concat(
      Array.from(
        { length: width },
        (_, at) => hashes.get(`${level * 8}/${index * 256 + at}`) ?? Buffer.alloc(0),
      ),
    )

  const kept = new Map<string, Buffer>()
  let size = 0
  for (const next of [1, 2, 255, 256, 257, 511, 65_535, 65_536, largest]) {
    for (const tile of tilesBetween(size, next)) kept.set(`${tile.level}/${tile.index}`, bytesOf(tile))
    size = next
  }
  const hashOf = (subtree: Subtree) => {
    const { level, index, start, count } = placeOf(subtree)
    return hashInTile(kept.get(`${level}/${index}`) ?? Buffer.alloc(0), start, count)
  }
  const wrong = [...hashes].filter(([place, hash]) => {
    const [level = 0, index = 0] = place.split('/').map(Number)
    return !hashOf({ level, index }).equals(hash)
  })
  expect(wrong).toEqual([])
  expect(tilesBetween(size, size)).toEqual([])
  expect(tilesBetween(255, 256)).toEqual([
    { level: 0, index: 0, width: 256 },
    { level: 1, index: 0, width: 1 },
  ])
})

test('a tile that is too narrow is no answer', () => {
  expect(() => hashInTile(Buffer.alloc(32), 1, 1)).toThrow('narrower')
})

test('a bundle gives its entries back, and one that is cut short is refused', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (entries) => {
      const bundle = bundleOf(entries)
      expect(entriesOf(bundle)).toEqual(entries.map((entry) => Buffer.from(entry)))
      if (bundle.length > 0) expect(() => entriesOf(bundle.subarray(0, -1))).toThrow(RangeError)
    }),
  )
  expect(() => bundleOf([Buffer.alloc(65_536)])).toThrow('at most 65535 bytes')
})
