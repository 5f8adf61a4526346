import type { FastifyInstance } from 'fastify'
import { Counter, collectDefaultMetrics, Gauge, Histogram, type Registry } from 'prom-client'
import { type HealthReport, unpublishedEvents } from './dependencies.ts'

export interface HttpMetrics {
  /** A command that was answered; the outcome is the answer's, or the code of the fault. */
  readonly command: (type: string, outcome: string) => void
}

/** Registers what the HTTP layer measures and counts each answer of `app`. `registry` must not have been given before. */
export function measure(
  app: FastifyInstance,
  registry: Registry,
  seen: { readonly openStreams: () => number; readonly health: () => Promise<HealthReport> },
): HttpMetrics {
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'From the request to the end of its answer, by route pattern',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const commands = new Counter({
    name: 'ledger_commands_total',
    help: 'Commands answered, by what came of them',
    labelNames: ['command', 'outcome'],
    registers,
  })
  new Gauge({
    name: 'ledger_event_streams',
    help: 'Event streams open now',
    registers,
    collect() {
      this.set(seen.openStreams())
    },
  })
  // Gauges are collected all at once: they share what they ask for.
  let asking: Promise<HealthReport> | undefined
  const health = () => {
    asking ??= seen.health().finally(() => {
      asking = undefined
    })
    return asking
  }
  const gauge = (name: string, help: string, valueIn: (report: HealthReport) => number | null | undefined) =>
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        const value = valueIn(await health())
        if (value === undefined) this.remove()
        else this.set(value ?? Number.NaN)
      },
    })
  const counter = (name: string, help: string, valueIn: (report: HealthReport) => number | undefined) =>
    new Counter({
      name,
      help,
      registers,
      async collect() {
        const value = valueIn(await health()) ?? 0
        this.reset()
        this.inc(value)
      },
    })
  gauge(
    'ledger_projector_seconds_since_beat',
    'Since the leading projector was last heard of',
    ({ readModel }) => readModel.projector.secondsSinceBeat,
  )
  gauge(
    'ledger_unreadable_events',
    'Events that this version could not read',
    ({ readModel }) => readModel.projector.unreadableEvents,
  )
  gauge(
    'ledger_announced_index',
    'Index of the last event that the read model shows; -1 for none',
    ({ readModel }) => readModel.projector.announcedIndex,
  )
  gauge(
    'ledger_notary_up',
    'Whether the notary leads or stands by here: 0 where it is stopped. Only where it runs',
    ({ notary }) => (notary.state === 'elsewhere' ? undefined : Number(notary.state !== 'stopped')),
  )
  gauge(
    'ledger_signed_events',
    'Events under the newest signed note; only where the leading notary runs',
    ({ notary }) => (notary.state === 'leading' ? notary.signedSize : undefined),
  )
  gauge(
    'ledger_unsigned_events',
    'Events that no signed note is over yet; only where the leading notary runs',
    ({ notary }) => (notary.state === 'leading' ? notary.unsignedEvents : undefined),
  )
  gauge(
    'ledger_compared_events',
    'Events that were held against what was signed since this process leads; only where the leading notary runs',
    ({ notary }) => (notary.state === 'leading' ? notary.comparison?.compared : undefined),
  )
  gauge(
    'ledger_publisher_up',
    'Whether the publisher to Kafka leads or stands by: 0 while it waits or is stopped. Only where it runs',
    ({ publisher }) => publisher && Number(publisher.state === 'leading' || publisher.state === 'standby'),
  )
  gauge(
    'ledger_published_index',
    'Index of the last event in Kafka; only where the leading publisher runs',
    ({ publisher }) => publisher?.publishedIndex,
  )
  gauge(
    'ledger_unpublished_events',
    'Events that queries show and Kafka does not have yet; only where the leading publisher runs',
    (report) => report.publisher && unpublishedEvents(report),
  )
  gauge(
    'ledger_intake_up',
    'Whether reports from Kafka are taken: 0 while they have to wait. Only where the intake runs',
    ({ intake }) => intake && Number(intake.state === 'taking'),
  )
  gauge(
    'ledger_reports_waiting',
    'Records of the reports on Kafka that no process has done with yet. Only where the intake runs',
    ({ intake }) => intake?.lag,
  )
  counter(
    'ledger_reports_taken_total',
    'Reports from Kafka that this process has taken',
    ({ intake }) => intake?.taken,
  )
  counter(
    'ledger_reports_rejected_total',
    'Records from Kafka that this process has rejected',
    ({ intake }) => intake?.rejected,
  )

  app.addHook('onResponse', (request, reply, done) => {
    const labels = {
      method: request.method,
      route: request.routeOptions.url ?? 'unknown',
      status: reply.statusCode,
    }
    durations.observe(labels, reply.elapsedTime / 1_000)
    done()
  })

  return { command: (command, outcome) => commands.inc({ command, outcome }) }
}
