/**
 * The cache of incidents by id, and why it keeps its promise: no read through it shows a revision older than one that any process
 * has shown, be it from the cache, from Postgres or in an announcement, before that read began.
 *
 * A revision can be shown once its transaction is committed, not before. So it is enough that whatever a reader can find in a
 * cache after a commit is not older than that commit. Values live in epochs, key spaces named by random; one row in Postgres
 * names the epoch that may be read, or none, and its place: this process, or one life of a Redis server.
 *
 * 1. A reader may read an epoch for a second after it sent the last question that Postgres answered with its name: a lease.
 *    Its own monotonic clock measures it, so neither a pause of the process nor a late notification lengthens it. A process
 *    that does not hear Postgres passes the cache over by itself.
 * 2. Within an epoch the leader withholds what a batch changes before it commits: in one piece the values are deleted, and marked
 *    so that nothing is put in their place. After the commit `refresh` puts the new values, where the mark is still this batch's. Late and
 *    doubled messages can so only delete and mark, never show.
 * 3. A reader's miss may get a lease of the key, unless it is withheld or the marks are gone; with it alone it may fill. It reads
 *    Postgres after it got the lease. A withholding in between deletes the lease, so that a slow fill finds another key than its own.
 * 4. If withholding fails or its outcome is not known, the epoch is retired: the row names none, and the leader waits until every
 *    lease from before has surely run out. Then no reader has a cache, and commits go on without one.
 * 5. A flush or an eviction takes values, leases or all marks of an epoch. The first two are misses. Without its marks an epoch takes nothing
 *    in any more, while withholding still deletes: so what is left in it stays right, and it can be retired while commits go on.
 * 6. A restarted server may come back with values of yesterday, a promoted replica without the last: each is another life, and
 *    an epoch of another life is neither read nor written.
 * 7. A new leader retires whatever is open and waits likewise before its first commit. The old one's late messages go to epochs that
 *    nobody reads, and the row refuses it. Its late transactions there are none: they ran on the connection that held the lead's lock.
 * 8. A new epoch begins empty. The batch under way is withheld from it before the row names it.
 * 9. The process that leads keeps a copy of its epoch in itself, before Redis: for its own readers, who are told of every withholding
 *    before it is committed because they live where it is decided. It is one more store that keeps 2 and 3 (see leader-store.ts).
 *
 * What must be so: the processes' monotonic clocks run equally fast to within a quarter, and Postgres is one server.
 */
import type { Logger } from 'pino'
import type { CacheEpoch } from '../announcements.ts'
import { openPool } from '../database.ts'
import type { CacheReader, CacheWriter, ReadModelHealth } from '../read-model.ts'
import { openEpochRow } from './epoch-row.ts'
import { openLeaderStore } from './leader-store.ts'
import { openMemoryStore } from './memory-store.ts'
import { createCacheReader } from './reader.ts'
import { openRedisConnection } from './redis-connection.ts'
import { createRedisStore } from './redis-store.ts'
import { createCacheWriter } from './writer.ts'

export interface Cache {
  readonly reader: CacheReader
  /** For the leading projector; it costs nothing where no one leads. `withhold` may reject: then the commit must not go on. */
  readonly writer: CacheWriter
  readonly health: () => ReadModelHealth['cache']
  /** Gives up what this process leads, and every connection. */
  readonly close: () => Promise<void>
}

/** A read that waits longer is better answered by Postgres. */
const readTimeoutMs = 100
/** Giving up costs the leader more than waiting. */
const writeTimeoutMs = 500
const rowTimeoutMs = 2_000

/** `lease`: what announcements hear of the epoch that may be read. Connects in the background; never throws. */
export function openCache(options: {
  /** Absent: in this process, and read only while it leads. */
  readonly redisUrl?: string | undefined
  readonly databaseUrl: string
  readonly lease: () => CacheEpoch | undefined
  readonly log: Logger
}): Cache {
  const { redisUrl: url, databaseUrl, lease, log } = options
  // Not the readers' pool: when Redis is gone they fill it, just when the epoch must be retired.
  const pool = openPool({ databaseUrl, max: 2, answerTimeoutMs: rowTimeoutMs })
  const row = openEpochRow(pool)

  if (url === undefined) {
    const store = openMemoryStore()
    const writer = createCacheWriter({ store, row, log })
    return {
      reader: createCacheReader(store, lease),
      writer,
      health: () =>
        lease()?.place === store.place()
          ? { state: 'ok' }
          : { state: 'off', reason: 'without REDIS_URL the leading process alone keeps a cache' },
      async close() {
        await writer.close()
        await pool.end()
      },
    }
  }

  const reading = openRedisConnection({ url, commandTimeoutMs: readTimeoutMs, log })
  const writing = openRedisConnection({ url, commandTimeoutMs: writeTimeoutMs, log })
  const near = openMemoryStore()
  const writer = createCacheWriter({ store: openLeaderStore(near, createRedisStore(writing)), row, log })
  return {
    reader: createCacheReader(openLeaderStore(near, createRedisStore(reading)), lease),
    writer,
    health() {
      const health = reading.health()
      if (!health.ok) return { state: 'degraded', reason: health.reason }
      if (lease()?.place !== reading.life()) {
        return { state: 'degraded', reason: 'the leading projector keeps no cache now' }
      }
      return { state: 'ok' }
    },
    async close() {
      await writer.close()
      await Promise.all([reading.close(), writing.close(), pool.end()])
    },
  }
}
