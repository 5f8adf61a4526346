/**
 * Several processes with one cache, in made-up time and with made-up misfortune, all drawn from one seed: messages to Redis and to
 * Postgres come late, twice out of order, after their sender has given them up, or never; Redis is flushed, restarts and is
 * cut off from one process; processes sleep; leaders fall in the middle of a batch and another takes over.
 * Time is the global timers': the test fakes them.
 */
import pino from 'pino'
import type { IncidentId } from '../../../src/aggregates/incident/index.ts'
import { type CacheEpoch, leaseMs } from '../../../src/projections/announcements.ts'
import type { EpochRow } from '../../../src/projections/cache/epoch-row.ts'
import { openLeaderStore } from '../../../src/projections/cache/leader-store.ts'
import { openMemoryStore } from '../../../src/projections/cache/memory-store.ts'
import { createCacheReader } from '../../../src/projections/cache/reader.ts'
import { type CacheStore, missed } from '../../../src/projections/cache/store.ts'
import { createCacheWriter } from '../../../src/projections/cache/writer.ts'
import { generator } from './random.ts'
import { idOf, isHit, stored } from './stored-incident.ts'

const ids = [idOf(0), idOf(1), idOf(2)]
const log = pino({ level: 'silent' })

export interface Simulation {
  /** Older revisions shown after newer ones. */
  readonly faults: string[]
  readonly hits: () => number
  /** Of them, those in the processes that lead now and then. */
  readonly leaderHits: () => number
  readonly commits: () => number
  readonly stop: () => void
}

export function simulate(seed: number): Simulation {
  const random = generator(seed)
  const chance = (probability: number) => random() < probability
  const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
  const faults: string[] = []
  let stopped = false
  let hits = 0
  let leaderHits = 0
  let commits = 0

  // Postgres: what is committed, who holds the lead's lock, and the row of the cache.
  const committed = new Map<IncidentId, number>(ids.map((id) => [id, 0]))
  const shown = new Map(committed)
  let lockHolder: symbol | undefined
  const row = {
    leader: '',
    version: 0,
    epoch: undefined as CacheEpoch | undefined,
    retiredAtMs: null as number | null,
  }

  // Redis: a life, and the key spaces in it.
  let life = 0
  let spaces = new Map<string, CacheStore>()
  let troubled = false

  const revisionOf = (id: IncidentId) => committed.get(id) ?? 0
  function show(id: IncidentId, revision: number, least: number, how: string) {
    if (revision < least) {
      faults.push(`${how} shows revision ${revision} of ${id} after ${least}, at ${performance.now()} ms`)
    }
    shown.set(id, Math.max(revision, shown.get(id) ?? 0))
  }

  /** Carries a message there and its answer back. Given up, it may arrive all the same. */
  async function carry<T>(arrive: () => T | Promise<T>, timeoutMs: number, trouble: number): Promise<T> {
    const travelMs = () => (chance(trouble) ? random() * 4_000 : random() * 10)
    const lost = chance(trouble / 2)
    const answer = (async () => {
      await sleep(travelMs())
      if (lost) await new Promise(() => {})
      const result = await arrive()
      await sleep(travelMs())
      return result
    })()
    answer.catch(() => {})
    return Promise.race([
      answer,
      sleep(timeoutMs).then(() => {
        throw new Error('timed out')
      }),
    ])
  }

  function connectToRedis(timeoutMs: number): { store: CacheStore; cut: (off: boolean) => void } {
    let off = false
    const place = () => (off ? undefined : `life ${life}`)
    function ask<T>(epoch: CacheEpoch, arrive: (space: CacheStore) => Promise<T>): Promise<T> {
      if (place() !== epoch.place) return Promise.reject(new Error('not there'))
      const connectedTo = life
      return carry(
        () => {
          if (connectedTo !== life) throw new Error('connection lost')
          const space = spaces.get(epoch.name) ?? openMemoryStore()
          spaces.set(epoch.name, space)
          return arrive(space)
        },
        timeoutMs,
        off ? 1 : troubled ? 0.3 : 0.002,
      )
    }
    return {
      cut: (now) => {
        off = now
      },
      store: {
        place,
        begin: (epoch) => ask(epoch, (space) => space.begin(epoch)),
        withhold: (epoch, batch, some) => ask(epoch, (space) => space.withhold(epoch, batch, some)),
        refresh: (epoch, batch, entries) => ask(epoch, (space) => space.refresh(epoch, batch, entries)),
        beat: (epoch) => ask(epoch, (space) => space.beat(epoch)),
        read: (epoch, id) => ask(epoch, (space) => space.read(epoch, id)).catch(() => missed),
        async fill(id, lease, value) {
          const name = lease.slice(0, lease.indexOf(' '))
          const epoch = { name, place: `life ${life}` }
          await ask(epoch, (space) => space.fill(id, lease, value)).catch(() => {})
        },
        close: async () => {},
      },
    }
  }

  const askRow = <T>(arrive: () => T) => carry(arrive, 2_000, troubled ? 0.1 : 0.005)
  const epochRow: EpochRow = {
    takeOver: (leader) =>
      askRow(() => {
        if (row.epoch) row.retiredAtMs = null
        Object.assign(row, { leader, version: row.version + 1, epoch: undefined })
        const { retiredAtMs } = row
        return {
          version: String(row.version),
          secondsRetired: retiredAtMs === null ? null : (performance.now() - retiredAtMs) / 1_000,
        }
      }),
    open: (leader, version, epoch) =>
      askRow(() => {
        if (row.leader !== leader || String(row.version) !== version) return false
        Object.assign(row, { epoch, retiredAtMs: null })
        return true
      }),
    retire: (leader) =>
      askRow(() => {
        if (row.leader !== leader) return undefined
        if (row.epoch) row.retiredAtMs = null
        Object.assign(row, { version: row.version + 1, epoch: undefined })
        return { version: String(row.version) }
      }),
    settle: (leader, version) =>
      askRow(() => {
        if (row.leader !== leader || String(row.version) !== version || row.epoch) return
        row.retiredAtMs ??= performance.now()
      }),
    held: (leader) => askRow(() => (row.leader === leader ? { epoch: row.epoch?.name ?? null } : undefined)),
  }

  /** `near`: the copy of a process that may lead as well. */
  function reader(near?: CacheStore) {
    const redis = connectToRedis(100)
    let heard: { epoch: CacheEpoch | undefined; askedAtMs: number } | undefined
    const lease = () => (heard && performance.now() - heard.askedAtMs < leaseMs ? heard.epoch : undefined)
    const cache = createCacheReader(near ? openLeaderStore(near, redis.store) : redis.store, lease)
    void forever(async () => {
      const askedAtMs = performance.now()
      const epoch = await askRow(() => row.epoch)
      heard = { epoch, askedAtMs }
      await sleep(chance(0.02) ? 3_000 : 250)
    })
    for (let client = 0; client < 3; client++) {
      void forever(async () => {
        await sleep(random() * 30)
        const id = ids[Math.floor(random() * ids.length)] ?? idOf(0)
        const least = shown.get(id) ?? 0
        const answer = await cache.get(id)
        if (isHit(answer)) {
          hits++
          if (near) leaderHits++
          return show(id, answer.revision, least, 'the cache')
        }
        await sleep(random() * 5)
        const value = stored(id, revisionOf(id))
        await sleep(chance(0.1) ? random() * 3_000 : random() * 5)
        show(id, value.revision, least, 'Postgres')
        if (answer.lease) await cache.fill(id, answer.lease, value)
      })
    }
    return redis
  }

  function leader(near: CacheStore) {
    const redis = connectToRedis(500)
    const writer = createCacheWriter({ store: openLeaderStore(near, redis.store), row: epochRow, log })
    void forever(async () => {
      await sleep(random() * 400)
      if (lockHolder) return
      const me = Symbol('leader')
      lockHolder = me
      const term = new AbortController()
      void sleep(3_000 + random() * 12_000).then(() => {
        // Its connection to Postgres is lost, which frees the lock; it will notice later.
        if (lockHolder === me) lockHolder = undefined
        return sleep(random() * 3_000).then(() => term.abort())
      })
      await writer.takeOver(term.signal)
      await writer.resume()
      while (lockHolder === me) {
        await sleep(random() * 100)
        if (chance(0.01)) {
          await writer.suspend()
          await writer.resume()
        }
        const batch = ids.filter(() => chance(0.5))
        await writer.withhold(batch)
        await sleep(random() * 10)
        if (lockHolder !== me || chance(0.02)) continue
        commits++
        for (const id of batch) {
          committed.set(id, revisionOf(id) + 1)
          // A list may show it from here on.
          shown.set(id, revisionOf(id))
        }
        const entries = new Map(batch.map((id) => [id, stored(id, revisionOf(id))]))
        await sleep(random() * 10)
        if (chance(0.98)) await writer.refresh(entries)
      }
    }).then(() => writer.close())
    return redis
  }

  async function forever(turn: () => Promise<void>): Promise<void> {
    while (!stopped) await turn().catch(() => sleep(50))
  }

  const nears = [openMemoryStore(), openMemoryStore()]
  const connections = [reader(), reader(), ...nears.flatMap((near) => [reader(near), leader(near)])]
  void forever(async () => {
    await sleep(random() * 4_000)
    switch (Math.floor(random() * 5)) {
      case 0:
        for (const space of spaces.values()) await space.close()
        break
      case 1:
        life++
        // What it had may be on its disk.
        if (chance(0.5)) spaces = new Map()
        break
      case 2: {
        const some = connections[Math.floor(random() * connections.length)]
        some?.cut(true)
        await sleep(random() * 4_000)
        some?.cut(false)
        break
      }
      default:
        troubled = true
        await sleep(random() * 3_000)
        troubled = false
    }
  })

  return {
    faults,
    hits: () => hits,
    leaderHits: () => leaderHits,
    commits: () => commits,
    stop: () => {
      stopped = true
    },
  }
}
