import type { IncidentId } from '../../aggregates/incident/index.ts'
import type { CacheEpoch } from '../announcements.ts'
import type { CacheMiss, StoredIncident } from '../read-model.ts'

/**
 * Keeps incidents, in key spaces that know nothing of each other: the epochs. MUST hold, however late and in whatever order
 * its own messages arrive:
 * - once `withhold` has resolved, the epoch shows nothing of these incidents that was put there before;
 * - from then on nothing of them is put there but by the `refresh` of the same batch, and by a `fill` whose lease was given after that.
 */
export interface CacheStore extends CacheShelf {
  /** Opens a key space of a name never used before, empty. Rejects. */
  readonly begin: (epoch: CacheEpoch) => Promise<void>
  /**
   * `batch` counts up within the epoch, from 1: a later one is never undone by an earlier. `lost`: it is withheld, but the epoch can take nothing in any more. Rejects
   * where that is not certain.
   */
  readonly withhold: (
    epoch: CacheEpoch,
    batch: number,
    ids: readonly IncidentId[],
  ) => Promise<'held' | 'lost'>
  /** Ends the withholding of what this batch has withheld last. Rejects. */
  readonly refresh: (
    epoch: CacheEpoch,
    batch: number,
    entries: ReadonlyMap<IncidentId, StoredIncident>,
  ) => Promise<'held' | 'lost'>
  /** Keeps the epoch from expiring. Rejects. */
  readonly beat: (epoch: CacheEpoch) => Promise<'held' | 'lost'>
}

/** A store as readers see it. Never rejects. */
export interface CacheShelf {
  /** Who would keep values now; undefined while out of reach. An epoch of another place cannot be read. */
  readonly place: () => string | undefined
  readonly read: (epoch: CacheEpoch, id: IncidentId) => Promise<StoredIncident | CacheMiss>
  readonly fill: (id: IncidentId, lease: string, value: StoredIncident) => Promise<void>
  readonly close: () => Promise<void>
}

export const missed: CacheMiss = { missed: true }

/** How long a reader may take from its miss to its fill; then the next one gets the lease. */
export const fillTimeoutMs = 2_000

/** A lease names the epoch it is of and, within it, itself. Neither part has a space. */
export function leaseOf(epoch: CacheEpoch, token: string): string {
  return `${epoch.name} ${token}`
}

export function parseLease(lease: string): { readonly epochName: string; readonly token: string } {
  const space = lease.indexOf(' ')
  return { epochName: lease.slice(0, space), token: lease.slice(space + 1) }
}
