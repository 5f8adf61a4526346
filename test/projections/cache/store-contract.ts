import { beforeEach, describe, expect, test } from 'vitest'
import type { CacheEpoch } from '../../../src/projections/announcements.ts'
import { freshName } from '../../../src/projections/cache/name.ts'
import type { CacheStore } from '../../../src/projections/cache/store.ts'
import { idOf, leaseIn, stored } from './stored-incident.ts'

const id = idOf(1)
const other = idOf(2)
const miss = { missed: true }

/** What every CacheStore does, whatever keeps it. */
export function storeContract(store: () => CacheStore): void {
  describe('keeps the contract of a store:', () => {
    let epoch: CacheEpoch

    beforeEach(async () => {
      epoch = newEpoch(store())
      await store().begin(epoch)
    })

    test('a miss gives a lease, with which the value can be filled in and read', async () => {
      await store().fill(id, leaseIn(await store().read(epoch, id)), stored(id, 3))
      expect(await store().read(epoch, id)).toEqual(stored(id, 3))
      expect(await store().read(epoch, other)).toMatchObject(miss)
    })

    test('one reader at a time gets the lease', async () => {
      leaseIn(await store().read(epoch, id))
      expect(await store().read(epoch, id)).toEqual(miss)
    })

    test('a refresh is read by everyone, without a fill', async () => {
      await store().withhold(epoch, 1, [id, other])
      await store().refresh(
        epoch,
        1,
        new Map([
          [id, stored(id, 4)],
          [other, stored(other, 0)],
        ]),
      )
      expect(await store().read(epoch, id)).toEqual(stored(id, 4))
      expect(await store().read(epoch, other)).toEqual(stored(other, 0))
    })

    test('what is withheld is not read and not leased, until it is refreshed', async () => {
      await store().fill(id, leaseIn(await store().read(epoch, id)), stored(id, 3))
      expect(await store().withhold(epoch, 1, [id])).toBe('held')
      expect(await store().read(epoch, id)).toEqual(miss)
      leaseIn(await store().read(epoch, other))
    })

    test('a fill that began before the withholding is refused, during it and after it', async () => {
      const lease = leaseIn(await store().read(epoch, id))
      await store().withhold(epoch, 1, [id])
      await store().fill(id, lease, stored(id, 3))
      expect(await store().read(epoch, id)).toEqual(miss)
      await store().refresh(epoch, 1, new Map([[id, stored(id, 4)]]))
      await store().fill(id, lease, stored(id, 3))
      expect(await store().read(epoch, id)).toEqual(stored(id, 4))
    })

    test('a refresh that comes late, or again, shows nothing that a later batch has withheld', async () => {
      await store().withhold(epoch, 1, [id])
      await store().withhold(epoch, 2, [id])
      await store().refresh(epoch, 1, new Map([[id, stored(id, 1)]]))
      expect(await store().read(epoch, id)).toEqual(miss)
      await store().refresh(epoch, 2, new Map([[id, stored(id, 2)]]))
      await store().refresh(epoch, 1, new Map([[id, stored(id, 1)]]))
      expect(await store().read(epoch, id)).toEqual(stored(id, 2))
    })

    test('an old batch that comes again, withholding and refresh, shows nothing that a later one has replaced', async () => {
      const again = new Map([[id, stored(id, 1)]])
      await store().withhold(epoch, 1, [id])
      await store().refresh(epoch, 1, again)
      await store().withhold(epoch, 2, [id])
      await store().withhold(epoch, 1, [id])
      await store().refresh(epoch, 1, again)
      expect(await store().read(epoch, id)).toEqual(miss)
      await store().refresh(epoch, 2, new Map([[id, stored(id, 2)]]))
      await store().withhold(epoch, 1, [id])
      await store().refresh(epoch, 1, again)
      expect(await store().read(epoch, id)).toMatchObject(miss)
    })

    test('a new epoch has nothing of an earlier one, whose leases fill nothing in it', async () => {
      const lease = leaseIn(await store().read(epoch, other))
      await store().fill(id, leaseIn(await store().read(epoch, id)), stored(id, 3))
      const next = newEpoch(store())
      await store().begin(next)
      await store().fill(other, lease, stored(other, 1))
      leaseIn(await store().read(next, id))
      leaseIn(await store().read(next, other))
    })

    test('an epoch that never began can be read and filled by nobody', async () => {
      const unknown = newEpoch(store())
      expect(await store().read(unknown, id)).toEqual(miss)
      expect(await store().withhold(unknown, 1, [id])).toBe('lost')
      expect(await store().refresh(unknown, 1, new Map([[id, stored(id, 1)]]))).toBe('lost')
      expect(await store().beat(unknown)).toBe('lost')
      expect(await store().read(unknown, id)).toEqual(miss)
    })
  })
}

export function newEpoch(store: CacheStore): CacheEpoch {
  return { name: freshName(), place: store.place() ?? 'nowhere' }
}
