import type { CacheStore } from './store.ts'

/**
 * A CacheStore whose leading process keeps, of the epoch that it leads, a copy in itself: its readers then need not ask. `near` and `far`
 * are told the same, `near` first; what `near` misses is read from `far`.
 *
 * It keeps the contract of a store because both do:
 * - What is withheld is so in both before `withhold` resolves; and where `far` fails, in `near` all the same.
 * - A value goes from `far` to `near` only by a lease of `near`, given before `far` was asked. A withholding in between ends that
 *   lease; without one, nothing was committed since the lease that `far` may not have shown.
 * Other processes have nothing in `near`: an epoch that they do not lead never began there. Nor does an earlier leader read on: it hears
 * of its epoch for as long as anyone may read that, and no longer.
 */
export function openLeaderStore(near: CacheStore, far: CacheStore): CacheStore {
  return {
    place: far.place,
    async begin(epoch) {
      await far.begin(epoch)
      await near.begin(epoch)
    },
    async withhold(epoch, batch, ids) {
      await near.withhold(epoch, batch, ids)
      return far.withhold(epoch, batch, ids)
    },
    async refresh(epoch, batch, entries) {
      await near.refresh(epoch, batch, entries)
      return far.refresh(epoch, batch, entries)
    },
    beat: far.beat,
    async read(epoch, id) {
      // Of another life of the server nobody reads.
      if (far.place() !== epoch.place) return far.read(epoch, id)
      const kept = await near.read(epoch, id)
      if (!('missed' in kept)) return kept
      const found = await far.read(epoch, id)
      if (!('missed' in found) && kept.lease !== undefined) await near.fill(id, kept.lease, found)
      return found
    },
    fill: far.fill,
    async close() {
      await near.close()
      await far.close()
    },
  }
}
