import { Redis } from 'ioredis'
import type { Logger } from 'pino'

/** A connection to Redis that costs next to nothing while Redis is slow or gone. */
export interface RedisConnection {
  readonly redis: Redis
  /**
   * Names the life of the server that answers on this connection, undefined while none does. A server that restarts, perhaps with
   * data of yesterday, a replica that is promoted without the last writes, and another server at the same address have other names.
   */
  readonly life: () => string | undefined
  /** Calls the listener whenever a server has begun to answer. */
  readonly onAnswering: (listener: () => void) => void
  /** Awaits a command, and counts its success or failure for the breaker. */
  readonly counted: <T>(command: Promise<T>) => Promise<T>
  readonly health: () => { readonly ok: true } | { readonly ok: false; readonly reason: string }
  readonly close: () => Promise<void>
}

const connectTimeoutMs = 500
const probeIntervalMs = 250
/** So many failures in a row open the breaker: `life` is undefined, until Redis answers a probe. */
const mostFailures = 3

export function openRedisConnection(options: {
  readonly url: string
  readonly commandTimeoutMs: number
  readonly log: Logger
}): RedisConnection {
  const { url, commandTimeoutMs, log } = options
  const redis = new Redis(url, {
    connectTimeout: connectTimeoutMs,
    commandTimeout: commandTimeoutMs,
    enableOfflineQueue: false,
    // What was sent to one life of the server must not be sent again to another.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(50 * 2 ** attempt, 1_000),
    connectionName: 'incident-ledger',
  })
  let life: string | undefined
  let failures = 0
  let reason = 'not connected yet'
  let connections = 0
  let identifying = false
  const listeners: (() => void)[] = []

  redis.on('error', (error: Error) => {
    reason = error.message
  })
  redis.on('ready', identify)
  redis.on('close', () => {
    connections++
    lose('the connection is closed')
  })
  const probe = setInterval(identify, probeIntervalMs).unref()

  return {
    redis,
    life: () => (redis.status === 'ready' ? life : undefined),
    onAnswering: (listener) => void listeners.push(listener),
    async counted(command) {
      try {
        const reply = await command
        failures = 0
        return reply
      } catch (error) {
        if (++failures >= mostFailures) lose(error instanceof Error ? error.message : String(error))
        throw error
      }
    },
    health: () => (life === undefined ? { ok: false, reason } : { ok: true }),
    async close() {
      clearInterval(probe)
      redis.disconnect()
    },
  }

  function lose(why: string) {
    if (life === undefined) return
    life = undefined
    reason = why
    log.warn({ reason }, 'Redis is passed over')
  }

  async function identify() {
    if (life !== undefined || identifying || redis.status !== 'ready') return
    identifying = true
    const connection = connections
    try {
      const found = lifeIn(await redis.info())
      // The answer may have been the last on a connection that is closed by now.
      if (connection !== connections) return
      if (found === undefined) {
        reason = 'the server is no master, or does not say which it is'
        return
      }
      life = found
      failures = 0
      log.info('Redis answers')
      for (const listener of listeners) listener()
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error)
    } finally {
      identifying = false
    }
  }
}

/**
 * From the answer to INFO (https://redis.io/docs/latest/commands/info/): `run_id` is another one after each start, and
 * `master_replid` after each promotion.
 */
function lifeIn(info: string): string | undefined {
  const field = (name: string) => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1]
  const runId = field('run_id')
  const replicationId = field('master_replid')
  if (runId === undefined || replicationId === undefined || field('role') !== 'master') return undefined
  return `redis ${runId} ${replicationId}`
}
