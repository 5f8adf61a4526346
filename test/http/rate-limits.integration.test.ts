/** Limits that all processes count together, while the Redis that counts fails. */
import { pino } from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openRedisConnection } from '../../src/projections/cache/redis-connection.ts'
import { startRedisProcess } from '../support/redis.ts'
import { isMissing } from '../support/services.ts'
import { waitFor } from '../support/wait-for.ts'
import { call, startService } from './support/service.ts'

const commandTimeoutMs = 100

describe.skipIf(isMissing('Redis process'))('counters in a Redis', () => {
  async function start() {
    const redis = await startRedisProcess()
    onTestFinished(() => redis.close())
    const warnings: string[] = []
    const log = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) })
    const opened = openRedisConnection({ url: redis.url, commandTimeoutMs, log })
    onTestFinished(() => opened.close())
    let asked = 0
    const connection: typeof opened = {
      ...opened,
      counted: (command) => {
        asked += 1
        return opened.counted(command)
      },
    }
    const service = startService({ rateRedis: connection, limits: { requestsPerMinute: 10_000 } })
    const remaining = async () => {
      const { statusCode, headers } = await call(service, 'GET', '/incidents')
      expect(statusCode).toBe(200)
      return headers['ratelimit-remaining']
    }
    await waitFor(remaining, { describe: 'requests are counted' })
    return { redis, remaining, warnings, connection, asked: () => asked }
  }

  test('that hangs are not asked after a few requests, limit nobody, and are said once to be passed over', async () => {
    const { redis, remaining, warnings, asked } = await start()
    redis.pause()
    await waitFor(async () => (await remaining()) === undefined && warnings.length > 0, {
      describe: 'the Redis is passed over',
    })
    const before = asked()
    for (let n = 0; n < 50; n += 1) expect(await remaining()).toBeUndefined()
    // None waits for a Redis that is not even asked.
    expect(asked()).toBe(before)
    expect(warnings).toHaveLength(1)
    redis.resume()
    await waitFor(remaining, { describe: 'requests are counted again' })
  })

  test('count for several processes together, and their limit holds', async () => {
    const { connection, remaining } = await start()
    const before = Number(await remaining())
    const other = startService({ rateRedis: connection, limits: { requestsPerMinute: 10_000 } })
    await call(other, 'GET', '/incidents')
    expect(Number(await remaining())).toBe(before - 2)
    const strict = startService({ rateRedis: connection, limits: { requestsPerMinute: 1 } })
    expect((await call(strict, 'GET', '/incidents')).statusCode).toBe(429)
  })
})
