import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { openRedisConnection, type RedisConnection } from '../../projections/cache/redis-connection.ts'
import { openLeasedNonces } from './nonce-lease.ts'
import { aheadMs, type Nonces } from './nonces.ts'
import {
  beginScript,
  keepScript,
  leaseScript,
  leaveScript,
  releaseScript,
  renewScript,
  useScript,
} from './redis-nonce-scripts.ts'
import { leaseMs, quietMs, type SharedNonces } from './shared-nonces.ts'

const commandTimeoutMs = 1_000
/** The braces have Redis Cluster keep all of it together, as scripts need it. */
const prefix = 'incident-ledger:{nonces}:'
const usedPrefix = `${prefix}used:`
const keys = [`${prefix}memory`, `${prefix}processes`] as const
/** Read by processes of an earlier version, which know of no lease: with this they take no signature any more. */
const formerBeginning = 'incident-ledger:nonce:memory-began'
const never = String(Number.MAX_SAFE_INTEGER)
const scanned = 1_000
/** Redis does nothing else while a script runs. */
const keptAtOnce = 1_000

/** Nonces in Redis, which must not evict what has not expired (`maxmemory-policy noeviction`). */
export function openNoncesInRedis(url: string, log: Logger): Nonces {
  return openLeasedNonces(openSharedNonces(openRedisConnection({ url, commandTimeoutMs, log })), log)
}

function openSharedNonces(connection: RedisConnection): SharedNonces {
  const { redis, counted } = connection
  const process = randomUUID()

  async function run(script: string, ...values: (string | number)[]): Promise<unknown> {
    const life = connection.life()
    if (life === undefined) {
      const health = connection.health()
      throw new Error(`Redis does not answer: ${health.ok ? 'the connection is closed' : health.reason}`)
    }
    return counted(redis.eval(script, keys.length, ...keys, life, process, usedPrefix, ...values))
  }

  // The memory is to begin when the service does, not with the first request, which it could not vouch for.
  connection.onAnswering(() => {
    Promise.all([run(beginScript), counted(redis.set(formerBeginning, never))]).catch(() => {})
  })

  return {
    use: async (uses) => {
      const given = uses.flatMap(({ keyId, nonce, keepMs }) => [
        JSON.stringify([keyId, nonce]),
        Math.max(1, Math.ceil(keepMs)),
      ])
      const [begun, ...fresh] = listOf(await run(useScript, aheadMs, ...given))
      if (begun === undefined) return { held: true }
      return { held: false, begunMs: Number(begun), fresh: fresh.map((first) => first === 1) }
    },
    lease: async () => (await run(leaseScript, leaseMs, quietMs)) === 1,
    renew: async () => {
      const [end, begun, wanted] = listOf(await run(renewScript, leaseMs, quietMs))
      if (end === undefined) return undefined
      return { endMs: Number(end), begunMs: Number(begun), isWanted: wanted === 1 }
    },
    living: async function* () {
      let cursor = '0'
      do {
        const [next, found] = await counted(redis.scan(cursor, 'MATCH', `${usedPrefix}*`, 'COUNT', scanned))
        yield found.map((key) => pairOf(key))
        cursor = next
      } while (cursor !== '0')
    },
    keep: async (pairs, keepMs) => {
      for (let at = 0; at < pairs.length; at += keptAtOnce) {
        await run(keepScript, keepMs, ...pairs.slice(at, at + keptAtOnce).map((pair) => JSON.stringify(pair)))
      }
    },
    release: async () => {
      await run(releaseScript)
    },
    close: async () => {
      await run(leaveScript).catch(() => {})
      await connection.close()
    },
  }
}

function listOf(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply
  throw new Error('Redis says nothing of the nonces')
}

function pairOf(key: string): readonly [string, string] {
  const [keyId, nonce] = JSON.parse(key.slice(usedPrefix.length))
  return [String(keyId), String(nonce)]
}
