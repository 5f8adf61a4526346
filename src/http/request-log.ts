import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { traceIdOf } from './traceparent.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Reads of history are audit records, as refusals are on every route. */
    audited?: boolean
  }
}

/** Answers to callers who may not: each is an audit record. */
const refusals = new Set([401, 403, 421, 429])
/** Of requests that are told in the same words, but for how long they took and their ids. */
const rememberedKinds = 1_000

/**
 * One line a request, when its answer is out or its caller is gone: what was asked by its route's pattern, by whom, and what
 * came of it. Never a key, a body, a query value or a path's value.
 */
export function logRequests(app: FastifyInstance, logger: Logger): void {
  const kinds = openKinds(logger)
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    if (!request.isFlood) {
      const durationMs = Math.round(reply.elapsedTime * 1_000) / 1_000
      kinds(request, reply.statusCode).info({ durationMs, ...correlated(request) }, 'request')
    }
    done()
  })
  app.addHook('onRequestAbort', (request, done) => {
    kinds(request, undefined).info({ ...correlated(request), aborted: true }, 'request')
    done()
  })
}

/** What finds the request's events, and the caller's own traces. */
function correlated({ id, headers }: FastifyRequest) {
  const traceId = traceIdOf(headers)
  return { correlationId: id, ...(traceId !== undefined && { traceId }) }
}

/** Loggers that have said already, once for all requests of a kind, what the requests of that kind have in common. */
function openKinds(logger: Logger): (request: FastifyRequest, status: number | undefined) => Logger {
  const kinds = new LRUCache<string, Logger>({ max: rememberedKinds })
  return (request, status) => {
    const { config, url = 'unknown' } = request.routeOptions
    const { method, accessKey } = request
    const kind = `${method} ${url} ${status} ${accessKey?.id}`
    const known = kinds.get(kind)
    if (known) return known
    const route = { method, route: url, status, accessKey: accessKey?.id }
    const made = logger.child(isAudited(config, status) ? { ...route, audit: true } : route)
    kinds.set(kind, made)
    return made
  }
}

function isAudited({ audited = false }: FastifyContextConfig, status: number | undefined): boolean {
  return audited || (status !== undefined && refusals.has(status))
}

/** The caller's own id for the request where it is fit for a log line, else a new one. */
export function correlationId({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[\w.:/+=@-]{1,128}$/.test(given) ? given : randomUUID()
}

/** What the log may have of an error that should not have happened: where, not what. Messages can quote a body or a row. */
export function errorRecord(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { thrown: typeof error }
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? []
  return {
    name: error.name,
    ...('code' in error && typeof error.code === 'string' && { code: error.code }),
    stack: frames.map((frame) => frame.trim()).slice(0, 12),
    ...(error.cause !== undefined && { cause: errorRecord(error.cause) }),
  }
}
