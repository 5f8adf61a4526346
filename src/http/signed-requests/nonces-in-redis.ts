import type { Logger } from 'pino'
import { openRedisConnection } from '../../projections/cache/redis-connection.ts'
import type { Nonces } from './nonces.ts'

const commandTimeoutMs = 1_000
/** Of an address's own, so that a Redis Cluster keeps them where the script finds them. */
const prefix = 'incident-ledger:{nonces}:'
const beginning = `${prefix}begun`

/**
 * Takes a nonce once. A Redis that was restarted empty, or flushed, has lost the ones before: so it also keeps when its memory began, and
 * what was signed before that is refused. KEYS: when it began, the nonce. ARGV: created, and how long to keep it, in ms; -1 for none:
 * only see to it that the memory has a beginning.
 */
const useNonce = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local begun = redis.call('GET', KEYS[1])
if not begun then
  begun = now
  redis.call('SET', KEYS[1], begun)
end
if tonumber(ARGV[2]) < 0 then return 0 end
if tonumber(ARGV[1]) < tonumber(begun) then return 0 end
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[2]) then return 1 end
return 0
`

/** Nonces in Redis. It must not evict what has not expired: `maxmemory-policy noeviction`. */
export function openNoncesInRedis(url: string, log: Logger, clock: () => number): Nonces {
  const connection = openRedisConnection({ url, commandTimeoutMs, log })
  const { redis, counted } = connection
  const run = (key: string, createdMs: number, keepMs: number) =>
    counted(redis.eval(useNonce, 2, beginning, key, createdMs, keepMs))
  redis.on('ready', () => void run(prefix, 0, -1).catch(() => {}))

  return {
    use: async (keyId, nonce, createdMs, untilMs) => {
      const keepMs = Math.max(1, Math.ceil(untilMs - clock()))
      return (await run(`${prefix}${JSON.stringify([keyId, nonce])}`, createdMs, keepMs)) === 1
    },
    close: () => connection.close(),
  }
}
