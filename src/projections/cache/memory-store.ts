import { LRUCache } from 'lru-cache'
import type { IncidentId } from '../../aggregates/incident/index.ts'
import type { CacheEpoch } from '../announcements.ts'
import type { CacheMiss, StoredIncident } from '../read-model.ts'
import { freshName } from './name.ts'
import { type CacheStore, fillTimeoutMs, leaseOf, missed, parseLease } from './store.ts'

const mostBytes = 64 * 1024 * 1024
/** What an entry weighs beside its text: key, list, map. */
const entryBytes = 200

interface Lease {
  readonly token: string
  readonly deadlineMs: number
}

/** A CacheStore in this process, for its own readers alone. Keeps one epoch: the last that began. */
export function openMemoryStore({ mostEntries = 50_000 } = {}): CacheStore {
  const place = `process ${freshName()}`
  const values = new LRUCache<IncidentId, StoredIncident | Lease>({
    max: mostEntries,
    maxSize: mostBytes,
    sizeCalculation: (entry) => entryBytes + ('json' in entry ? 2 * entry.json.length : 0),
  })
  /** The incidents that are withheld, each with the batch that did it last. */
  const withheld = new Map<IncidentId, number>()
  let open: string | undefined
  /** The latest batch that withheld something. */
  let latest = 0

  return {
    place: () => place,
    async begin(epoch) {
      values.clear()
      withheld.clear()
      open = epoch.name
      latest = 0
    },
    async withhold(epoch, batch, ids) {
      if (epoch.name !== open) return 'lost'
      for (const id of ids) values.delete(id)
      // An old message that comes again must not have an old refresh, that comes again after it, put back what it once put.
      if (batch < latest) return 'held'
      latest = batch
      for (const id of ids) withheld.set(id, batch)
      return 'held'
    },
    async refresh(epoch, batch, entries) {
      if (epoch.name !== open) return 'lost'
      for (const [id, value] of entries) {
        if (withheld.get(id) !== batch) continue
        withheld.delete(id)
        values.set(id, value)
      }
      return 'held'
    },
    beat: async (epoch) => (epoch.name === open ? 'held' : 'lost'),
    async read(epoch, id) {
      if (epoch.name !== open) return missed
      const entry = values.get(id)
      return entry && 'json' in entry ? entry : miss(epoch, id, entry)
    },
    async fill(id, lease, value) {
      const { epochName, token } = parseLease(lease)
      const entry = values.peek(id)
      if (epochName !== open || !entry || 'json' in entry || entry.token !== token) return
      values.set(id, value)
    },
    async close() {
      open = undefined
      values.clear()
      withheld.clear()
    },
  }

  function miss(epoch: CacheEpoch, id: IncidentId, other: Lease | undefined): CacheMiss {
    const now = performance.now()
    if (withheld.has(id) || (other && other.deadlineMs > now)) return missed
    const token = freshName()
    values.set(id, { token, deadlineMs: now + fillTimeoutMs })
    return { missed: true, lease: leaseOf(epoch, token) }
  }
}
