import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { IncidentId } from '../../../src/aggregates/incident/index.ts'
import { type LocalAnnouncements, openAnnouncements } from '../../../src/projections/announcements.ts'
import { type Cache, openCache } from '../../../src/projections/cache/index.ts'
import { migrate } from '../../../src/projections/database.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { type RedisProcess, startRedisProcess } from '../../support/redis.ts'
import { isMissing } from '../../support/services.ts'
import { waitFor } from '../../support/wait-for.ts'
import { type Relay, startRelay } from '../relay.ts'
import { generator } from './random.ts'
import { idOf, isHit, stored } from './stored-incident.ts'

const log = pino({ level: 'silent' })
const ids = Array.from({ length: 6 }, (_, n) => idOf(n))
const seed = Number(process.env.CACHE_SEED ?? Date.now() % 2 ** 31)

/** A part of the service as one process would hold it, with ways of its own to Redis and Postgres. */
interface Node {
  readonly redis: Relay
  readonly postgres: Relay
  readonly announcements: LocalAnnouncements
  readonly cache: Cache
  hits: number
}

/**
 * Three nodes with real Redis and real Postgres, traffic all the time: clients of each node read by id and list; one leader
 * writes. Whatever is shown is noted, and no read by id may show less than was noted before it began.
 */
describe.skipIf(isMissing('Redis process') || isMissing('Postgres'))('In the middle of traffic', () => {
  const faults: string[] = []
  const shown = new Map<IncidentId, number>()
  const stopping = new AbortController()
  const traffic: Promise<void>[] = []
  let database: TestDatabase
  let redis: RedisProcess
  let pool: pg.Pool
  let nodes: Node[]
  let commits = 0
  let lead: { readonly node: Node; readonly end: () => Promise<void> }

  beforeAll(async () => {
    database = await createTestDatabase()
    await migrate(database.url)
    pool = new pg.Pool({ connectionString: database.url, max: 4 })
    await pool.query('CREATE TABLE kept (id uuid PRIMARY KEY, revision integer NOT NULL)')
    await pool.query('INSERT INTO kept SELECT unnest($1::uuid[]), 0', [ids])
    redis = await startRedisProcess()
    nodes = await Promise.all([openNode(), openNode(), openNode()])
    lead = await startLead(firstNode())
    for (const node of nodes)
      for (let client = 0; client < 3; client++) traffic.push(forever(() => read(node)))
    traffic.push(forever(list))
  })

  afterAll(async () => {
    stopping.abort()
    await Promise.all(traffic)
    await lead.end()
    for (const node of nodes) {
      await node.cache.close()
      await node.announcements.close()
      await node.redis[Symbol.asyncDispose]()
      await node.postgres[Symbol.asyncDispose]()
    }
    await redis.close()
    await pool.end()
    await database.drop()
  })

  const misfortunes: readonly [string, () => Promise<void>][] = [
    [
      'Redis is paused',
      async () => {
        redis.pause()
        await commitsGoOn()
        redis.resume()
      },
    ],
    [
      'Redis is killed and comes back empty',
      async () => {
        await redis.kill()
        await commitsGoOn()
        await redis.restart()
      },
    ],
    ['Redis is flushed', () => redis.flush()],
    [
      'Redis restarts before anyone has noticed',
      async () => {
        await redis.restart()
        await commitsGoOn()
      },
    ],
    [
      'one reader alone is cut off from Redis',
      async () => {
        const [reader, other] = otherNodes()
        reader.redis.hold()
        await commitsGoOn()
        await isHitBy(other)
        reader.redis.breakOff()
      },
    ],
    [
      'the leader alone is cut off from Redis, while all others still have it',
      async () => {
        lead.node.redis.hold()
        await commitsGoOn()
        lead.node.redis.breakOff()
      },
    ],
    [
      'one reader alone does not hear Postgres any more',
      async () => {
        const [reader] = otherNodes()
        reader.postgres.hold()
        await waitFor(() => reader.announcements.cacheLease() === undefined, {
          describe: 'its lease runs out',
        })
        await commitsGoOn()
        reader.postgres.breakOff()
      },
    ],
    [
      'another leader takes over',
      async () => {
        const [next] = otherNodes()
        await lead.end()
        lead = await startLead(next)
        await commitsGoOn()
      },
    ],
  ]

  test.each(shuffled(misfortunes, seed))(
    `%s: commits go on, no read shows less than was shown before, and the cache comes back (CACHE_SEED=${seed})`,
    async (_, happen) => {
      await isHitBy(...nodes)
      await happen()
      await isHitBy(...nodes)
      expect(faults).toEqual([])
    },
  )

  async function openNode(): Promise<Node> {
    const way = { redis: await startRelay(redis.url), postgres: await startRelay(database.url) }
    const announcements = await openAnnouncements({ databaseUrl: way.postgres.url, log })
    const cache = openCache({
      redisUrl: way.redis.url,
      databaseUrl: database.url,
      lease: announcements.cacheLease,
      log,
    })
    return { ...way, announcements, cache, hits: 0 }
  }

  async function startLead(node: Node) {
    const ending = new AbortController()
    await node.cache.writer.takeOver(ending.signal)
    await node.cache.writer.resume()
    const writing = forever(async () => {
      await write(node.cache)
      await delay(5)
    }, ending.signal)
    return {
      node,
      async end() {
        ending.abort()
        await writing
      },
    }
  }

  async function write({ writer }: Cache) {
    const batch = ids.filter((_, n) => (commits + n) % 3 === 0)
    await writer.withhold(batch)
    const { rows } = await pool.query<{ id: IncidentId; revision: number }>(
      'UPDATE kept SET revision = revision + 1 WHERE id = ANY ($1) RETURNING id, revision',
      [batch],
    )
    commits++
    // As an announcement would.
    for (const { id, revision } of rows) note(id, revision)
    await writer.refresh(new Map(rows.map(({ id, revision }) => [id, stored(id, revision)])))
  }

  async function read(node: Node) {
    await delay(1)
    const id = ids[Math.floor(Math.random() * ids.length)] ?? idOf(0)
    const least = shown.get(id) ?? 0
    const answer = await node.cache.reader.get(id)
    if (isHit(answer)) {
      node.hits++
      check(id, answer.revision, least)
      return
    }
    const { rows } = await pool.query<{ revision: number }>('SELECT revision FROM kept WHERE id = $1', [id])
    const revision = rows[0]?.revision ?? -1
    check(id, revision, least)
    if (answer.lease) await node.cache.reader.fill(id, answer.lease, stored(id, revision))
  }

  async function list() {
    await delay(3)
    const { rows } = await pool.query<{ id: IncidentId; revision: number }>('SELECT id, revision FROM kept')
    for (const { id, revision } of rows) note(id, revision)
  }

  function check(id: IncidentId, revision: number, least: number) {
    if (revision < least) faults.push(`revision ${revision} of ${id} is shown after ${least}`)
    note(id, revision)
  }

  function note(id: IncidentId, revision: number) {
    shown.set(id, Math.max(revision, shown.get(id) ?? 0))
  }

  async function forever(turn: () => Promise<void>, signal?: AbortSignal) {
    while (!stopping.signal.aborted && !signal?.aborted) {
      await turn().catch((error: unknown) => {
        if (!signal?.aborted) faults.push(String(error))
      })
    }
  }

  async function commitsGoOn() {
    const enough = commits + 20
    await waitFor(() => commits >= enough, { describe: 'there are more commits' })
  }

  async function isHitBy(...some: Node[]) {
    const enough = some.map((node) => node.hits + 20)
    await waitFor(() => some.every((node, n) => node.hits >= (enough[n] ?? 0)), {
      describe: 'the cache answers',
    })
  }

  function firstNode(): Node {
    const [node] = nodes
    if (!node) throw new Error('there are no nodes')
    return node
  }

  function otherNodes(): [Node, Node] {
    const [one, other] = nodes.filter((node) => node !== lead.node)
    if (!one || !other) throw new Error('there are three nodes')
    return [one, other]
  }
})

function shuffled<T>(all: readonly T[], seed: number): T[] {
  const random = generator(seed)
  return all
    .map((each) => ({ each, rank: random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ each }) => each)
}
