import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import type { RedisConnection } from '../projections/cache/redis-connection.ts'
import type { AccessKey } from './access-key.ts'
import { HttpProblem } from './problems.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** One of so many refusals that they are logged together. */
    isFlood?: boolean
  }
}

/** How often one caller may ask, before its key is known and after. */
export interface RateLimits {
  /** Whether the address sent too many wrong keys or signatures lately: nothing more of it need be looked at. */
  readonly isBlocked: (request: FastifyRequest) => boolean
  /** Answers such an address, after a while: whoever waits for each answer before the next guess has few of them. */
  readonly refuseBlocked: (request: FastifyRequest, done: (problem: HttpProblem) => void) => void
  /** Counts a wrong key or signature against its address; the problem to answer with instead of `refusal`, where it was one too many. */
  readonly countRefusal: (request: FastifyRequest, refusal: Error) => Promise<Error>
  /** Counts a request against its key, and says in the answer how many are left. @throws HttpProblem `too-many-requests` */
  readonly countRequest:
    | ((request: FastifyRequest, reply: FastifyReply, key: AccessKey) => Promise<void>)
    | undefined
}

export interface RateLimitOptions {
  /** Wrong keys and signatures from one address within a minute. */
  readonly refusalsPerMinute: number
  /** How long an address that is blocked waits for each refusal. */
  readonly floodDelayMs: number
  /** Requests under one access key within a minute; undefined: as many as it likes. */
  readonly requestsPerMinute: number | undefined
  /** Where the counts are kept, for all processes together; undefined: each process counts for itself. */
  readonly redis: Pick<RedisConnection, 'redis' | 'life' | 'counted'> | undefined
  readonly log: Pick<Logger, 'warn'>
}

const windowMs = 60_000
/** Addresses that are blocked at a time. With more, the oldest are let in again, to be counted anew. */
const mostBlocked = 10_000
/** Refusals that wait at a time; the others go out at once. */
const mostWaiting = 1_000
const reportEveryMs = 1_000
/** Of the addresses that a log line names. */
const mostNamed = 5

/**
 * Limits by @fastify/rate-limit. They fail open: a Redis that is gone or slow limits nobody, is passed over at once after a few attempts, and is
 * asked again when it answers; its connection logs both. An address that is blocked is remembered here,
 * so that a flood costs a look into a map, and is logged once a second instead of once a request.
 */
export function openRateLimits(app: FastifyInstance, options: RateLimitOptions): RateLimits {
  const { refusalsPerMinute, requestsPerMinute, floodDelayMs, redis, log } = options
  app.decorateRequest('isFlood', false)
  app.register(rateLimit, {
    global: false,
    timeWindow: windowMs,
    ipv6Subnet: 64,
    ...(redis && { redis: redis.redis, nameSpace: 'incident-ledger:rate:' }),
  })
  const refusals = passedOver(onceReady(app, { max: refusalsPerMinute }), redis)
  const requests =
    requestsPerMinute === undefined
      ? undefined
      : passedOver(
          onceReady(app, {
            max: requestsPerMinute,
            keyGenerator: (request: FastifyRequest) => `key:${request.accessKey?.id}`,
          }),
          redis,
        )
  const blockedUntilMs = new LRUCache<string, number>({ max: mostBlocked })
  const flood = openFloodReport(app, log)
  let waiting = 0
  const leftMs = (address: string) => (blockedUntilMs.get(address) ?? 0) - performance.now()

  return {
    isBlocked: ({ ip }) => leftMs(ip) > 0,

    refuseBlocked: (request, done) => {
      request.isFlood = true
      flood.count(request.ip)
      const problem = tooMany(refusalsPerMinute, 0, leftMs(request.ip))
      if (waiting >= mostWaiting) return done(problem)
      waiting += 1
      setTimeout(() => {
        waiting -= 1
        done(problem)
      }, floodDelayMs)
    },

    countRefusal: async (request, refusal) => {
      const counted = await refusals(request)
      if (!counted || counted.isAllowed || !counted.isExceeded) return refusal
      blockedUntilMs.set(request.ip, performance.now() + counted.ttl)
      return tooMany(refusalsPerMinute, 0, counted.ttl)
    },

    countRequest:
      requests &&
      (async (request, reply, key) => {
        request.accessKey = key
        const counted = await requests(request)
        if (!counted || counted.isAllowed) return
        if (counted.isExceeded) throw tooMany(counted.max, 0, counted.ttl)
        reply.headers(limitHeaders(counted.max, counted.remaining, counted.ttl))
      }),
  }
}

type Limiter = ReturnType<FastifyInstance['createRateLimit']>

/** The plugin is there when the first request comes, not when the routes are built. */
function onceReady(
  app: FastifyInstance,
  options: Parameters<FastifyInstance['createRateLimit']>[0],
): Limiter {
  let limiter: Limiter | undefined
  return (request) => {
    limiter ??= app.createRateLimit(options)
    return limiter(request)
  }
}

type Counted = Awaited<ReturnType<Limiter>>

/** Undefined where the counters are out of reach. */
function passedOver(
  limiter: Limiter,
  redis: RateLimitOptions['redis'],
): (request: FastifyRequest) => Promise<Counted | undefined> {
  if (!redis) return limiter
  return async (request) => {
    if (redis.life() === undefined) return undefined
    return redis.counted(limiter(request)).catch(() => undefined)
  }
}

function tooMany(limit: number, remaining: number, leftMs: number): HttpProblem {
  const headers = limitHeaders(limit, remaining, leftMs)
  return new HttpProblem('too-many-requests', {}, { ...headers, 'retry-after': headers['ratelimit-reset'] })
}

/** The names of the IETF draft of RateLimit headers. */
function limitHeaders(limit: number, remaining: number, leftMs: number) {
  return {
    'ratelimit-limit': String(limit),
    'ratelimit-remaining': String(remaining),
    'ratelimit-reset': String(Math.max(1, Math.ceil(leftMs / 1_000))),
  }
}

/** Tells of refused floods, a line a second while there is one. */
function openFloodReport(
  app: FastifyInstance,
  log: Pick<Logger, 'warn'>,
): { count: (address: string) => void } {
  const refused = new Map<string, number>()
  const tell = () => {
    if (refused.size === 0) return
    const worst = [...refused].sort(([, a], [, b]) => b - a).slice(0, mostNamed)
    const requests = [...refused.values()].reduce((sum, count) => sum + count, 0)
    log.warn(
      { audit: true, status: 429, requests, addresses: Object.fromEntries(worst) },
      'requests of addresses that sent too many wrong keys were refused',
    )
    refused.clear()
  }
  const timer = setInterval(tell, reportEveryMs).unref()
  app.addHook('onClose', (_app, done) => {
    clearInterval(timer)
    tell()
    done()
  })
  return {
    count: (address) => {
      if (refused.size < mostBlocked || refused.has(address))
        refused.set(address, (refused.get(address) ?? 0) + 1)
    },
  }
}
