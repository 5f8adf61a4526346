import helmet from '@fastify/helmet'
import Fastify, { type FastifyBaseLogger, type FastifyReply, type FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { z } from 'zod'
import { clientErrorHandler, refuseExpectation } from './client-errors.ts'
import {
  defaultLimits,
  type HttpDependencies,
  type HttpLimits,
  type MonitoringDependencies,
} from './dependencies.ts'
import { type EventFeed, openEventFeed } from './event-feed.ts'
import { problemOf } from './faults.ts'
import { fenceOff } from './fence.ts'
import { guardRoutes } from './guard.ts'
import type { App } from './instance.ts'
import { invalidInput } from './invalid-input.ts'
import { parseJsonBody } from './json-body.ts'
import { showingPosition } from './ledger-position.ts'
import { declaredMethods, refuseOtherMethods } from './methods.ts'
import { type HttpMetrics, measure } from './metrics.ts'
import { describeRoutes, pageHeaders } from './openapi.ts'
import { shedLoad } from './overload.ts'
import { pageCache } from './page-cache.ts'
import { HttpProblem, problemAnswer } from './problems.ts'
import { openRateLimits } from './rate-limits.ts'
import { recent } from './recent.ts'
import { correlationId, errorRecord, logRequests } from './request-log.ts'
import { accessKeyRoutes } from './routes/access-keys.ts'
import { incidentDifference } from './routes/difference.ts'
import { eventStream } from './routes/event-stream.ts'
import { eventList } from './routes/events.ts'
import { healthChecks } from './routes/health.ts'
import { incidentHistory } from './routes/history.ts'
import { oneIncident } from './routes/incident.ts'
import { incidentChanges } from './routes/incident-changes.ts'
import { incidentReports } from './routes/incident-reports.ts'
import { incidentList } from './routes/incidents.ts'
import { signedLogRoutes } from './routes/ledger.ts'
import { metricsPage } from './routes/metrics.ts'
import { problemPages } from './routes/problem-pages.ts'
import { incidentProof } from './routes/proof.ts'
import { serviceDocuments } from './routes/service-documents.ts'
import { stats } from './routes/stats.ts'
import { openSignedRequests, requireSignedBody } from './signed-requests/check.ts'

/** As many callers of /health as may come: its parts are asked this often at most. */
const healthForMs = 500

/**
 * The whole HTTP side as a Fastify instance that listens nowhere yet. `close()` drains it: event streams end, what is under
 * way is finished, connections are closed; what it was given stays open.
 */
export function buildApp(given: HttpDependencies): App {
  const limits = { ...defaultLimits, ...given.limits }
  const feed = openEventFeed({ ...given, limits })
  const { app, ...parts } = guardedServer(given, limits, feed)
  describeRoutes(app, given.version)
  mount(app, (scope) => mountRoutes(scope, { given, limits, feed, ...parts }))
  return app
}

/** What a process answers that serves no API: how it is, and problems. */
export function buildMonitoringApp(given: MonitoringDependencies): App {
  const { app, ...parts } = guardedServer(given, { ...defaultLimits, ...given.limits }, noFeed)
  mount(app, (scope) => mountMonitoring(scope, given, parts))
  return app
}

const noFeed: Pick<EventFeed, 'close' | 'openStreams'> = { close: () => {}, openStreams: () => 0 }

function guardedServer(
  given: MonitoringDependencies,
  limits: HttpLimits,
  feed: Pick<EventFeed, 'close' | 'openStreams'>,
) {
  const app = server(given, limits)
  const draining = drainOnClose(app, feed)
  const health = recent(given.health, healthForMs, given.clock)
  const metrics = measure(app, given.metrics, { openStreams: feed.openStreams, health })

  logRequests(app, given.logger)
  fenceOff(app, given)
  shedLoad(app, { delayMs: limits.overloadDelayMs })
  guardRoutes(app, {
    accessKeys: given.accessKeys,
    signed: openSignedRequests(given),
    rates: openRateLimits(app, { ...limits, redis: given.rateRedis, log: given.logger }),
  })
  return { app, health, metrics, draining }
}

function mount(app: App, routes: (scope: App) => void): void {
  app.register((scope, _options, done) => {
    const declared = declaredMethods(scope)
    routes(scope.withTypeProvider<ZodTypeProvider>())
    refuseOtherMethods(scope, declared)
    done()
  })
}

function server({ logger, trustedProxies }: MonitoringDependencies, limits: HttpLimits): App {
  const loggerInstance: FastifyBaseLogger = logger
  const app = Fastify({
    loggerInstance,
    childLoggerFactory: () => loggerInstance,
    logController: new Fastify.LogController({ disableRequestLogging: true }),
    genReqId: correlationId,
    trustProxy: trustedProxies?.length ? [...trustedProxies] : false,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestTimeoutMs,
    connectionTimeout: limits.idleTimeoutMs,
    return503OnClosing: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: limits.headerBytes },
    http: {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.requestTimeoutMs,
      connectionsCheckingInterval: limits.timeoutCheckMs,
      requireHostHeader: false, // the fence answers it
    },
    clientErrorHandler: clientErrorHandler(logger),
    frameworkErrors: (error, request, reply) => {
      const problem = problemOf(error) ?? new HttpProblem('malformed-request')
      logger.info({ route: 'unknown', status: problem.statusCode, correlationId: request.id }, 'request')
      send(problem, request, reply.header('x-request-id', request.id))
    },
  }).withTypeProvider<ZodTypeProvider>()

  app.server.on('checkExpectation', refuseExpectation(logger))
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<Buffer>(
    jsonTypes,
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => {
      requireSignedBody(request, body)
      return parseJsonBody(body)
    },
  )
  app.setValidatorCompiler<z.ZodType>(({ schema, httpPart }) => (data) => {
    const { success, data: value, error } = schema.safeParse(data)
    return success ? { value } : { error: invalidInput(httpPart ?? 'body', error.issues) }
  })
  app.setNotFoundHandler(() => {
    throw new HttpProblem('not-found')
  })
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error, request.routeOptions.bodyLimit)
    if (!problem) logger.error({ ...errorRecord(error), correlationId: request.id }, 'unexpected error')
    return send(problem ?? new HttpProblem('internal-error'), request, reply)
  })
  return app
}

/** application/json and the merge patch, with or without parameters. */
const jsonTypes = /^application\/(?:merge-patch\+)?json(?:\s*;|$)/i

function send(problem: HttpProblem, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, headers, body } = problemAnswer(problem, request.id)
  return reply.code(status).headers(headers).send(body)
}

/** Ends event streams when the app is closed, and connections as soon as nothing is under way on them. */
function drainOnClose(app: App, feed: Pick<EventFeed, 'close'>): () => boolean {
  let draining = false
  app.addHook('preClose', (done) => {
    draining = true
    feed.close()
    done()
  })
  app.addHook('onResponse', (_request, _reply, done) => {
    if (draining) setImmediate(() => app.server.closeIdleConnections())
    done()
  })
  return () => draining
}

interface Parts extends MonitoringParts {
  readonly given: HttpDependencies
  readonly limits: HttpLimits
  readonly feed: EventFeed
}

interface MonitoringParts {
  readonly health: HttpDependencies['health']
  readonly metrics: HttpMetrics
  readonly draining: () => boolean
}

function mountRoutes(app: App, { given, limits, feed, ...parts }: Parts): void {
  const { incidents, history, queries, announcements, accessKeys, register, directory, keyring, clock } =
    given
  const { entries, signedLog, ledgerPublic } = given
  const { visibilityMs, signingMs, provisionalMs } = limits
  const commands = { announcements, metrics: parts.metrics, visibilityMs }
  const reads = { showingPosition: showingPosition(announcements, visibilityMs), clock, provisionalMs }
  const lists = { ...reads, keyring, pages: pageCache(announcements, limits.pageCacheBytes) }

  incidentReports(app, incidents, commands)
  incidentChanges(app, incidents, commands)
  incidentList(app, queries, lists)
  oneIncident(app, queries, history, reads)
  incidentHistory(app, history, queries, keyring)
  incidentDifference(app, history, reads)
  incidentProof(app, { entries, history, queries, signedLog, patienceMs: signingMs })
  eventList(app, queries, lists)
  eventStream(app, feed, accessKeys)
  stats(app, queries, lists)
  signedLogRoutes(app, { signedLog, keyring, isPublic: ledgerPublic })
  accessKeyRoutes(app, { register, directory, keyring, visibilityMs, clock })
  mountMonitoring(app, given, parts)
  app.register((pages, _options, done) => {
    pages.register(helmet, pageHeaders)
    problemPages(pages.withTypeProvider<ZodTypeProvider>())
    done()
  })
  serviceDocuments(app, given.asyncApi)
}

function mountMonitoring(app: App, given: MonitoringDependencies, parts: MonitoringParts): void {
  const { accessKeys, version, metrics } = given
  healthChecks(app, { report: parts.health, accessKeys, draining: parts.draining, version })
  metricsPage(app, metrics)
}
