import type { CacheEpoch } from '../announcements.ts'
import type { CacheReader } from '../read-model.ts'
import { type CacheShelf, missed } from './store.ts'

/** Reads a shelf only while it is certain that the leader withholds from its epoch what it is about to change. */
export function createCacheReader(shelf: CacheShelf, lease: () => CacheEpoch | undefined): CacheReader {
  return {
    get(id) {
      const epoch = lease()
      return epoch ? shelf.read(epoch, id) : Promise.resolve(missed)
    },
    fill: (id, fillLease, value) => shelf.fill(id, fillLease, value),
  }
}
