import { expect, test } from 'vitest'
import { openLeaderStore } from '../../../src/projections/cache/leader-store.ts'
import { openMemoryStore } from '../../../src/projections/cache/memory-store.ts'
import type { CacheStore } from '../../../src/projections/cache/store.ts'
import { newEpoch, storeContract } from './store-contract.ts'
import { neverOlder } from './store-interleavings.ts'
import { idOf, leaseIn, stored } from './stored-incident.ts'

const id = idOf(1)
const store = openLeaderStore(openMemoryStore(), openMemoryStore())
storeContract(() => store)

test('no read shows less than was shown before it, in the leading process or another, however its steps interleave', async () => {
  await neverOlder(async () => {
    const far = openMemoryStore({ mostEntries: 3 })
    const leading = openLeaderStore(openMemoryStore({ mostEntries: 1 }), far)
    let reads = 0
    const both: CacheStore = {
      ...leading,
      read: (epoch, id) => (reads++ % 2 === 0 ? leading : far).read(epoch, id),
    }
    return { store: both, evict: async () => {}, flush: () => far.close() }
  }, 2_000)
})

test('what is refreshed, or was read once, is read again without a question', async () => {
  const { asked, far } = counted()
  const leading = openLeaderStore(openMemoryStore(), far)
  const epoch = newEpoch(leading)
  await leading.begin(epoch)
  await leading.withhold(epoch, 1, [id])
  await leading.refresh(epoch, 1, new Map([[id, stored(id, 1)]]))
  expect(await leading.read(epoch, id)).toEqual(stored(id, 1))
  expect(asked()).toBe(0)

  await far.fill(idOf(2), leaseIn(await far.read(epoch, idOf(2))), stored(idOf(2), 7))
  const before = asked()
  for (let read = 0; read < 3; read++) expect(await leading.read(epoch, idOf(2))).toEqual(stored(idOf(2), 7))
  expect(asked()).toBe(before + 1)
})

test('an answer that was under way when its incident was withheld is not kept', async () => {
  const gate = Promise.withResolvers<void>()
  const far = openMemoryStore()
  const epoch = newEpoch(far)
  const slow: CacheStore = {
    ...far,
    async read(...asked) {
      const answer = await far.read(...asked)
      await gate.promise
      return answer
    },
  }
  const leading = openLeaderStore(openMemoryStore(), slow)
  await leading.begin(epoch)
  await far.fill(id, leaseIn(await far.read(epoch, id)), stored(id, 1))
  const reading = leading.read(epoch, id)
  await leading.withhold(epoch, 1, [id])
  gate.resolve()
  await reading
  expect(await leading.read(epoch, id)).toEqual({ missed: true })
})

test('a process that does not lead the epoch keeps nothing of it', async () => {
  const { asked, far } = counted()
  const epoch = newEpoch(far)
  await far.begin(epoch)
  await far.fill(id, leaseIn(await far.read(epoch, id)), stored(id, 1))
  const standby = openLeaderStore(openMemoryStore(), far)
  const before = asked()
  for (let read = 0; read < 3; read++) expect(await standby.read(epoch, id)).toEqual(stored(id, 1))
  expect(asked()).toBe(before + 3)
})

test('where the far store fails, what is withheld is not read in the leading process either', async () => {
  const far = openMemoryStore()
  const failing: CacheStore = { ...far, withhold: () => Promise.reject(new Error('gone')) }
  const near = openMemoryStore()
  const epoch = newEpoch(far)
  await openLeaderStore(near, far).begin(epoch)
  await far.fill(id, leaseIn(await far.read(epoch, id)), stored(id, 1))
  const leading = openLeaderStore(near, failing)
  expect(await leading.read(epoch, id)).toEqual(stored(id, 1))
  await expect(leading.withhold(epoch, 1, [id])).rejects.toThrow('gone')
  expect(await near.read(epoch, id)).toEqual({ missed: true })
})

function counted() {
  const far = openMemoryStore()
  let reads = 0
  return {
    asked: () => reads,
    far: {
      ...far,
      read: (...asked) => {
        reads += 1
        return far.read(...asked)
      },
    } satisfies CacheStore,
  }
}
