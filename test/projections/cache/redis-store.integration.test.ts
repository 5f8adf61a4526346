import { Redis } from 'ioredis'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openRedisConnection, type RedisConnection } from '../../../src/projections/cache/redis-connection.ts'
import { createRedisStore } from '../../../src/projections/cache/redis-store.ts'
import type { CacheStore } from '../../../src/projections/cache/store.ts'
import { type RedisProcess, startRedis, startRedisProcess, type TestRedis } from '../../support/redis.ts'
import { isMissing } from '../../support/services.ts'
import { waitFor } from '../../support/wait-for.ts'
import { newEpoch, storeContract } from './store-contract.ts'
import { neverOlder } from './store-interleavings.ts'
import { idOf, isHit, leaseIn, stored } from './stored-incident.ts'

const log = pino({ level: 'silent' })

describe.skipIf(isMissing('Redis'))('A store in Redis', () => {
  let redis: TestRedis
  let client: Redis
  let store: CacheStore

  beforeAll(async () => {
    redis = await startRedis()
    client = new Redis(redis.url)
    // As long as a busy machine may need: what times out here is no matter of these tests.
    const connection = openRedisConnection({ url: redis.url, commandTimeoutMs: 30_000, log })
    store = createRedisStore(connection)
    await waitFor(() => store.place(), { describe: 'Redis answers' })
  })

  afterAll(async () => {
    await store.close()
    await client.quit()
    await redis.close()
  })

  storeContract(() => store)

  test('no read shows less than was shown before it, however its steps, losses and late messages interleave', async () => {
    await neverOlder(
      async () => ({
        store,
        async evict(epoch, nth) {
          const keys = (await client.keys(`incident-ledger:{${epoch.name}}:*`)).sort()
          const key = keys[nth % keys.length]
          if (key) await client.del(key)
        },
        flush: () => redis.flush(),
      }),
      300,
    )
  })

  test('many reads at once are one question, each with its own answer', async () => {
    const epoch = newEpoch(store)
    await store.begin(epoch)
    const ids = Array.from({ length: 50 }, (_, n) => idOf(n))
    await store.withhold(epoch, 1, ids)
    await store.refresh(epoch, 1, new Map(ids.map((id, n) => [id, stored(id, n)])))
    const asked = async () =>
      Number(/cmdstat_mget:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0)
    const before = await asked()
    const answers = await Promise.all(ids.map((id) => store.read(epoch, id)))
    expect(answers).toEqual(ids.map((id, n) => stored(id, n)))
    expect(await asked()).toBe(before + 1)
  })

  test('every key ends by itself, should nothing else remove it', async () => {
    const epoch = newEpoch(store)
    await store.begin(epoch)
    await store.withhold(epoch, 1, [idOf(1)])
    await store.refresh(epoch, 1, new Map([[idOf(1), stored(idOf(1), 1)]]))
    await store.fill(idOf(2), leaseIn(await store.read(epoch, idOf(2))), stored(idOf(2), 1))
    leaseIn(await store.read(epoch, idOf(3)))
    const keys = await client.keys(`incident-ledger:{${epoch.name}}:*`)
    expect(keys).toHaveLength(4)
    for (const key of keys) expect(await client.pttl(key)).toBeGreaterThan(0)
  })

  test('an epoch that lost its marks takes nothing in, but can still be withheld from', async () => {
    const epoch = newEpoch(store)
    await store.begin(epoch)
    await store.fill(idOf(1), leaseIn(await store.read(epoch, idOf(1))), stored(idOf(1), 1))
    await client.del(`incident-ledger:{${epoch.name}}:withheld`)
    expect(await store.beat(epoch)).toBe('lost')
    expect(isHit(await store.read(epoch, idOf(1)))).toBe(true)
    expect(await store.withhold(epoch, 1, [idOf(1)])).toBe('lost')
    expect(await store.read(epoch, idOf(1))).toEqual({ missed: true })
  })
})

describe.skipIf(isMissing('Redis process'))('A connection to Redis', () => {
  let redis: RedisProcess
  let connection: RedisConnection

  beforeAll(async () => {
    redis = await startRedisProcess()
  })
  afterAll(() => redis.close())

  const connect = (url = redis.url) => openRedisConnection({ url, commandTimeoutMs: 100, log })
  const answers = () => waitFor(() => connection.life(), { describe: 'Redis answers' })

  test('knows a restarted server as another one, and reads no epoch of the one before', async () => {
    connection = connect()
    const before = await answers()
    const store = createRedisStore(connection)
    const epoch = newEpoch(store)
    await store.begin(epoch)
    await redis.restart()
    await waitFor(() => connection.life() !== before, { describe: 'the old connection is gone' })
    expect(await answers()).not.toBe(before)
    expect(await store.read(epoch, idOf(1))).toEqual({ missed: true })
    await expect(store.withhold(epoch, 1, [idOf(1)])).rejects.toThrow()
    await connection.close()
  })

  test('knows a replica that was promoted as another one, and a replica as none', async () => {
    await using primary = await startRedisProcess()
    connection = connect()
    const before = await answers()
    await connection.close()

    const operator = new Redis(redis.url)
    const { hostname, port } = new URL(primary.url)
    await operator.replicaof(hostname, Number(port))
    connection = connect()
    await waitFor(() => connection.redis.status === 'ready', { describe: 'it is connected to the replica' })
    await waitFor(() => /no master/.test(JSON.stringify(connection.health())), {
      describe: 'it knows a replica',
    })
    expect(connection.life()).toBeUndefined()

    await operator.replicaof('NO', 'ONE')
    expect(await answers()).not.toBe(before)
    await operator.quit()
    await connection.close()
  })

  test('passes a server over that does not answer, at no cost, and comes back to it by itself', async () => {
    connection = connect()
    const store = createRedisStore(connection)
    const epoch = { name: 'e', place: await answers() }
    redis.pause()
    try {
      await waitFor(
        async () => {
          await store.read(epoch, idOf(1))
          return !connection.health().ok
        },
        { describe: 'the breaker opens' },
      )
      const sent = connection.redis.stream.bytesWritten
      expect(await Promise.all([1, 2, 3].map((n) => store.read(epoch, idOf(n))))).toEqual(
        Array(3).fill({ missed: true }),
      )
      expect(connection.redis.stream.bytesWritten - sent).toBeLessThan(100)
    } finally {
      redis.resume()
    }
    expect(await answers()).toBe(epoch.place)
    await connection.close()
  })
})
