import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Reads of history are audit records, as refusals are on every route. */
    audited?: boolean
  }
}

/** Answers to callers who may not: each is an audit record. */
const refusals = new Set([401, 403, 421])

/**
 * One line a request, when its answer is out or its caller is gone: what was asked by its route's pattern, by whom, and what
 * came of it. Never a key, a body, a query value or a path's value.
 */
export function logRequests(app: FastifyInstance, logger: Logger): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    if (!request.isFlood) logger.info(requestRecord(request, reply.statusCode, reply.elapsedTime), 'request')
    done()
  })
  app.addHook('onRequestAbort', (request, done) => {
    logger.info({ ...requestRecord(request, undefined, undefined), aborted: true }, 'request')
    done()
  })
}

function requestRecord(request: FastifyRequest, status: number | undefined, durationMs: number | undefined) {
  const { config, url } = request.routeOptions
  const audit = config.audited || (status !== undefined && refusals.has(status))
  return {
    method: request.method,
    route: url ?? 'unknown',
    status,
    durationMs: durationMs && Math.round(durationMs * 1_000) / 1_000,
    correlationId: request.id,
    accessKey: request.accessKey?.id,
    ...(audit && { audit }),
  }
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
