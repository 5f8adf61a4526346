import type { Logger } from 'pino'
import { openRedisConnection } from '../../projections/cache/redis-connection.ts'
import { type Nonces, requireRemembered } from './nonces.ts'

const commandTimeoutMs = 1_000
const prefix = 'incident-ledger:nonce:'
const beginning = `${prefix}memory-began`

/**
 * Nonces in Redis, which must not evict what has not expired (`maxmemory-policy noeviction`). One that was restarted empty, or flushed, has
 * lost those before: so it also keeps when its memory began. That is read after the nonce was written: a flush before it is noticed, and
 * one after it takes nothing that matters.
 */
export function openNoncesInRedis(url: string, log: Logger, clock: () => number): Nonces {
  const connection = openRedisConnection({ url, commandTimeoutMs, log })
  const { redis, counted } = connection
  const begin = () => counted(redis.set(beginning, clock(), 'NX'))
  redis.on('ready', () => void begin().catch(() => {}))

  return {
    use: async (keyId, nonce, createdMs, untilMs) => {
      const keepMs = Math.max(1, Math.ceil(untilMs - clock()))
      const [taken, begunMs] = await Promise.all([
        counted(redis.set(`${prefix}${JSON.stringify([keyId, nonce])}`, 1, 'PX', keepMs, 'NX')),
        counted(redis.get(beginning)),
      ])
      if (taken === null) return false
      if (begunMs === null) await begin()
      requireRemembered(createdMs, Number(begunMs ?? Number.POSITIVE_INFINITY))
      return true
    },
    close: () => connection.close(),
  }
}
