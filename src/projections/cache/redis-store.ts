import type { IncidentId } from '../../aggregates/incident/index.ts'
import type { CacheEpoch } from '../announcements.ts'
import type { CacheMiss, StoredIncident } from '../read-model.ts'
import { freshName } from './name.ts'
import type { RedisConnection } from './redis-connection.ts'
import { beginScript, fillScript, leaseScript, refreshScript, withholdScript } from './redis-scripts.ts'
import { type CacheStore, fillTimeoutMs, leaseOf, missed, parseLease } from './store.ts'

/** A backstop against what nothing else removes: keys of past epochs. Each beat of the leader renews that of the hash. */
const timeToLiveMs = 60 * 60 * 1_000

/** A CacheStore in Redis, for the readers of all processes. */
export function createRedisStore(connection: RedisConnection): CacheStore {
  const { redis, life, counted } = connection
  let pending: PendingRead[] = []

  return {
    place: life,
    async begin(epoch) {
      mustBeAt(epoch)
      await counted(redis.eval(beginScript, 1, hashKey(epoch.name), timeToLiveMs))
    },
    async withhold(epoch, batch, ids) {
      mustBeAt(epoch)
      const keys = [hashKey(epoch.name), ...ids.map((id) => valueKey(epoch.name, id))]
      return heldIf(await counted(redis.eval(withholdScript, keys.length, ...keys, batch, timeToLiveMs)))
    },
    async refresh(epoch, batch, entries) {
      mustBeAt(epoch)
      const keys = [hashKey(epoch.name), ...entries.keys().map((id) => valueKey(epoch.name, id))]
      const values = entries.values().map(encode)
      return heldIf(
        await counted(redis.eval(refreshScript, keys.length, ...keys, batch, timeToLiveMs, ...values)),
      )
    },
    async beat(epoch) {
      mustBeAt(epoch)
      return heldIf(await counted(redis.pexpire(hashKey(epoch.name), timeToLiveMs)))
    },
    read(epoch, id) {
      return new Promise((resolve) => {
        if (pending.length === 0) setImmediate(readPending)
        pending.push({ epoch, id, resolve })
      })
    },
    async fill(id, lease, value) {
      const { epochName, token } = parseLease(lease)
      const key = valueKey(epochName, id)
      await counted(redis.eval(fillScript, 1, key, leaseMark(token), encode(value), timeToLiveMs)).catch(
        () => {},
      )
    },
    close: connection.close,
  }

  /** A server that is not this epoch's, or not in this life, would promise in vain. */
  function mustBeAt(epoch: CacheEpoch) {
    if (life() !== epoch.place) throw new Error('the Redis that keeps this epoch does not answer')
  }

  /**
   * One MGET for all reads of a turn of the event loop. A read joins only what is not yet sent: what was sent before it began
   * may be answered with what was current before it began.
   */
  async function readPending() {
    const reads = pending
    pending = []
    const here = life()
    const sent = reads.filter((read) => read.epoch.place === here)
    for (const read of reads) if (read.epoch.place !== here) read.resolve(missed)
    if (sent.length === 0) return
    try {
      const values = await counted(redis.mget(sent.map(({ epoch, id }) => valueKey(epoch.name, id))))
      for (const [at, { epoch, id, resolve }] of sent.entries()) {
        resolve(decode(values[at]) ?? lease(epoch, id, values[at]))
      }
    } catch {
      for (const read of sent) read.resolve(missed)
    }
  }

  /** `found` is what its key holds that is no value: nothing, or the lease of another. */
  async function lease(
    epoch: CacheEpoch,
    id: IncidentId,
    found: string | null | undefined,
  ): Promise<CacheMiss> {
    if (found || life() !== epoch.place) return missed
    const token = freshName()
    const keys = [hashKey(epoch.name), valueKey(epoch.name, id)]
    const given = await counted(
      redis.eval(leaseScript, keys.length, ...keys, leaseMark(token), fillTimeoutMs),
    ).catch(() => 0)
    return given === 1 ? { missed: true, lease: leaseOf(epoch, token) } : missed
  }
}

interface PendingRead {
  readonly epoch: CacheEpoch
  readonly id: IncidentId
  readonly resolve: (answer: StoredIncident | CacheMiss | Promise<CacheMiss>) => void
}

/** The braces have Redis Cluster keep an epoch's keys together, as scripts need it. */
function hashKey(epochName: string): string {
  return `incident-ledger:{${epochName}}:withheld`
}

function valueKey(epochName: string, id: IncidentId): string {
  return `incident-ledger:{${epochName}}:${id}`
}

function leaseMark(token: string): string {
  return `lease:${token}`
}

function encode({ revision, json }: StoredIncident): string {
  return `${revision} ${json}`
}

function decode(text: string | null | undefined): StoredIncident | undefined {
  if (!text || text.startsWith('lease:')) return undefined
  const space = text.indexOf(' ')
  return { revision: Number(text.slice(0, space)), json: text.slice(space + 1) }
}

function heldIf(reply: unknown): 'held' | 'lost' {
  return reply === 1 ? 'held' : 'lost'
}
