import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type RedisProcess, startRedis, startRedisProcess } from './redis.ts'
import { isMissing } from './services.ts'
import { waitFor } from './wait-for.ts'

test.skipIf(isMissing('Redis'))('a test file gets a Redis that works, and can flush it', async () => {
  await using redis = await startRedis()
  const client = new Redis(redis.url)
  await client.set('key', 'value')
  await redis.flush()
  expect(await client.get('key')).toBeNull()
  await client.quit()
})

describe.skipIf(isMissing('Redis process'))('A Redis process', () => {
  let redis: RedisProcess
  let client: Redis

  beforeEach(async () => {
    redis = await startRedisProcess()
    client = new Redis(redis.url, { retryStrategy: () => 20 })
    client.on('error', () => {})
    await client.set('key', 'value')
  })

  afterEach(async () => {
    client.disconnect()
    await redis.close()
  })

  test('answers nothing while it is paused, and then what it was asked', async () => {
    const hasty = new Redis(redis.url, { commandTimeout: 100 })
    await hasty.ping()
    redis.pause()
    await expect(hasty.get('key')).rejects.toThrow('Command timed out')
    hasty.disconnect()
    const answer = client.get('key')
    redis.resume()
    expect(await answer).toBe('value')
  })

  test('is empty and on the same port after it was killed and restarted', async () => {
    await redis.kill()
    await waitFor(() => client.status !== 'ready', { describe: 'the client has noticed' })
    await redis.restart()
    await waitFor(() => client.status === 'ready', { describe: 'the client is connected again' })
    expect(await client.get('key')).toBeNull()
  })

  test('can be closed while it is paused', async () => {
    redis.pause()
    await redis.close()
    await waitFor(() => client.status !== 'ready', { describe: 'the client has noticed' })
  })
})
