import { expect, test } from 'vitest'
import { openMemoryStore } from '../../../src/projections/cache/memory-store.ts'
import { newEpoch, storeContract } from './store-contract.ts'
import { neverOlder } from './store-interleavings.ts'
import { idOf, isHit, leaseIn, stored } from './stored-incident.ts'

const store = openMemoryStore()
storeContract(() => store)

test('no read shows less than was shown before it, however its steps interleave', async () => {
  await neverOlder(async () => {
    // Of two incidents, it can keep one.
    const lossy = openMemoryStore({ mostEntries: 1 })
    return { store: lossy, evict: async () => {}, flush: async () => {} }
  }, 2_000)
})

test('keeps the incidents that were read last, and no more than it may', async () => {
  const small = openMemoryStore({ mostEntries: 2 })
  const epoch = newEpoch(small)
  await small.begin(epoch)
  for (const n of [1, 2]) {
    await small.fill(idOf(n), leaseIn(await small.read(epoch, idOf(n))), stored(idOf(n), 0))
  }
  await small.read(epoch, idOf(1))
  await small.fill(idOf(3), leaseIn(await small.read(epoch, idOf(3))), stored(idOf(3), 0))
  expect(isHit(await small.read(epoch, idOf(1)))).toBe(true)
  expect(isHit(await small.read(epoch, idOf(2)))).toBe(false)
})
