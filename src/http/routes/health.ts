import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { instantOf } from '../../aggregates/incident/index.ts'
import type { AccessKeys } from '../access-keys.ts'
import { healthAnswer } from '../answers.ts'
import { type HealthReport, unpublishedEvents } from '../dependencies.ts'
import { keyOf } from '../guard.ts'
import type { App } from '../instance.ts'
import { operation } from '../operation.ts'

export interface HealthSeams {
  readonly report: () => Promise<HealthReport>
  readonly accessKeys: AccessKeys
  /** Whether the service is being stopped: it answers, but wants no new work. */
  readonly draining: () => boolean
  readonly version: string
}

/** GET /health, /health/ready, /health/live */
export function healthChecks(app: App, { report, accessKeys, draining, version }: HealthSeams): void {
  const common = { access: 'public', tag: 'Service' } as const
  const answers = {
    200: {
      description: 'Commands or queries are answered; the body says what is amiss.',
      schema: healthAnswer,
    },
    503: {
      description: 'Neither is, or the service is stopping; the body says what is missing.',
      schema: healthAnswer,
    },
  }
  const whole = operation(
    {
      ...common,
      summary: 'How the service and its dependencies are',
      description:
        'Without the event store, current state is still read; without Postgres, reports and changes are still taken: `serves` says which. With an access key it says why.',
      answers,
    },
    {},
  )
  const ready = operation(
    {
      ...common,
      summary: 'Whether to send requests here',
      description: 'As /health, for load balancers.',
      answers,
    },
    {},
  )
  app.get('/health', probed(whole), answer)
  app.get('/health/ready', probed(ready), answer)

  const live = operation(
    {
      ...common,
      summary: 'Whether the process is alive',
      description:
        'Answers while the process can answer at all; looks at no dependency: to start it again would bring none back.',
      answers: { 200: { description: 'It is.', schema: z.strictObject({ live: z.literal(true) }) } },
    },
    {},
  )
  app.get('/health/live', probed(live), (_request, reply) => reply.send({ live: true }))

  async function answer(request: FastifyRequest, reply: FastifyReply) {
    const health = healthOf(await report(), draining(), version)
    const known = keyOf(request.headers, accessKeys) !== undefined
    return reply
      .code(health.ready ? 200 : 503)
      .header('cache-control', 'no-store')
      .send(known ? health : withoutReasons(health))
  }
}

/** The route is asked at whatever address the service has where it is watched from. */
function probed<Route extends { readonly config: object }>(route: Route) {
  return { ...route, config: { ...route.config, probed: true } }
}

type Health = z.output<typeof healthAnswer>
type State = Health['dependencies']['postgres']['state']
/** Without `undefined` members: where nothing is published there is no publisher. */
type Dependencies = {
  [Name in keyof Health['dependencies']]: Exclude<Health['dependencies'][Name], undefined>
}

/** A projector that has not been heard of for so long is missed: queries fall behind. */
const missedAfterSeconds = 10

function healthOf(report: HealthReport, draining: boolean, version: string): Health {
  const { eventStore, readModel, notary, publisher, intake } = report
  const { postgres, cache, projector } = readModel
  const stopped = projector.state === 'stopped'
  const comparedAtMs = notary.comparison?.comparedAtMs ?? null
  const { secondsSinceBeat } = projector
  const missed = secondsSinceBeat === null || secondsSinceBeat > missedAfterSeconds
  const dependencies: Dependencies = {
    eventStore: { state: eventStore.ok ? 'ok' : 'down', ...reason(eventStore) },
    postgres: { state: postgres.ok ? 'ok' : 'down', ...reason(postgres) },
    cache: { state: cache.state, ...reason(cache) },
    projector: {
      state: stopped ? 'down' : missed ? 'degraded' : 'ok',
      ...reason(missed ? { reason: 'no projector has been heard of lately' } : {}),
      ...reason(projector),
      role: projector.state,
      unreadableEvents: projector.unreadableEvents,
    },
    notary: {
      state: notaryStates[notary.state],
      ...reason(notary),
      role: notary.state,
      comparedEvents: notary.comparison?.compared ?? null,
      isCompared: notary.comparison?.isWhole ?? false,
      comparedAt: comparedAtMs === null ? null : instantOf(comparedAtMs),
    },
    ...(publisher && {
      publisher: { state: publisherStates[publisher.state], ...reason(publisher), role: publisher.state },
    }),
    ...(intake && {
      intake: {
        state: intakeStates[intake.state],
        ...reason(intake),
        role: intake.state,
        taken: intake.taken,
        rejected: intake.rejected,
      },
    }),
  }
  // A projector stops where the read model is of another ledger: then nothing is to be trusted before somebody has looked.
  const serves = { commands: eventStore.ok && !stopped, queries: postgres.ok && !stopped }
  const serving = serves.commands || serves.queries
  const isWell = Object.values<{ readonly state: State }>(dependencies).every(isFine)
  return {
    live: true,
    ready: serving && !draining,
    state: serving ? (isWell ? 'ok' : 'degraded') : 'down',
    serves,
    version,
    dependencies,
    lag: {
      announcedIndex: projector.announcedIndex,
      secondsSinceBeat,
      signedEvents: notary.signedSize,
      unsignedEvents: notary.unsignedEvents,
      ...(publisher && {
        publishedIndex: publisher.publishedIndex,
        unpublishedEvents: unpublishedEvents(report),
      }),
      ...(intake && { waitingReports: intake.lag }),
    },
  }
}

const isFine = ({ state }: { readonly state: State }) => state === 'ok' || state === 'off'

/** What is not signed yet is signed later; a notary that stopped has found what no notary should. */
const notaryStates = { leading: 'ok', standby: 'ok', elsewhere: 'off', stopped: 'down' } as const

/** Without Kafka all is served as ever, and what is not published yet is published later. */
const publisherStates = { leading: 'ok', standby: 'ok', waiting: 'degraded', stopped: 'down' } as const

/** What is not taken now waits on its topic and is taken later. */
const intakeStates = { taking: 'ok', paused: 'degraded', waiting: 'degraded', stopped: 'down' } as const

const reason = (part: { readonly reason?: string }) =>
  part.reason === undefined ? {} : { reason: part.reason }

/** Strangers learn what is down, not where it is or what it said. */
function withoutReasons(health: Health): Health {
  const { eventStore, postgres, cache, projector, notary, publisher, intake } = health.dependencies
  const { reason: _, ...projectorState } = projector
  const { reason: __, ...notaryState } = notary
  return {
    ...health,
    dependencies: {
      eventStore: { state: eventStore.state },
      postgres: { state: postgres.state },
      cache: { state: cache.state },
      projector: projectorState,
      notary: notaryState,
      ...(publisher && { publisher: { state: publisher.state, role: publisher.role } }),
      ...(intake && {
        intake: {
          state: intake.state,
          role: intake.role,
          taken: intake.taken,
          rejected: intake.rejected,
        },
      }),
    },
  }
}
