import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { type IncidentId, incidentId } from '../../aggregates/incident/index.ts'
import type { IncidentHistory, Moment } from '../../ledger/ledger.ts'
import { incidentJson } from '../../projections/incident-rows.ts'
import type { Queries } from '../../projections/read-model.ts'
import { incidentAnswer } from '../answers.ts'
import { etagOf, isKnownToCaller } from '../etag.ts'
import * as examples from '../examples.ts'
import type { App } from '../instance.ts'
import { invalidField } from '../invalid-input.ts'
import { markIfProvisional, markProvisional, momentParameters, pastMoment } from '../moment.ts'
import { operation } from '../operation.ts'
import { HttpProblem } from '../problems.ts'
import type { ReadSeams } from '../read-seams.ts'

const params = z.object({ id: incidentId.meta({ examples: [examples.incidentId] }) })
const querystring = z.strictObject({
  ...momentParameters,
  revision: z
    .string()
    .regex(/^\d{1,9}$/, 'must be a revision: a whole number')
    .transform(Number)
    .optional()
    .describe('As it stood after this event of its history.'),
})

/** GET /incidents/{id} */
export function oneIncident(
  app: App,
  queries: Pick<Queries, 'incident'>,
  history: Pick<IncidentHistory, 'stateAt'>,
  seams: ReadSeams,
): void {
  const described = operation(
    {
      access: 'read',
      tag: 'Incidents',
      summary: 'Read an incident',
      description:
        'As it is; or, with one of `asOf`, `knownAt` or `revision`, as it was: that is read from the events themselves and has no ETag.',
      answers: {
        200: {
          description: 'The incident.',
          schema: incidentAnswer,
          headers: ['ETag', 'Ledger-Position', 'Ledger-Provisional'],
        },
        304: { description: 'Still at the revision that If-None-Match names.', headers: ['ETag'] },
      },
      requestHeaders: ['If-None-Match', 'Ledger-Position'],
      problems: [
        'moment-in-future',
        'incident-not-found',
        'not-yet-reported',
        'read-model-unavailable',
        'query-timeout',
        'position-not-reached',
        'event-store-unavailable',
        'history-unreadable',
      ],
    },
    { params, querystring },
  )

  app.get('/incidents/:id', { ...described, preHandler: seams.showingPosition }, async (request, reply) => {
    const nowMs = seams.clock()
    const moment = momentOf(request.query, nowMs)
    if (moment && !('revision' in moment)) markIfProvisional(reply, moment, nowMs, seams.provisionalMs)
    if (moment) return answerPast(request.params.id, moment, reply)
    const stored = await queries.incident(request.params.id)
    if (!stored) throw new HttpProblem('incident-not-found')
    reply.header('etag', etagOf(stored.revision)).header('cache-control', 'private, no-cache')
    if (isKnownToCaller(request.headers, stored.revision)) return reply.code(304).send()
    return reply.type('application/json; charset=utf-8').send(stored.json)
  })

  async function answerPast(id: IncidentId, moment: Moment, reply: FastifyReply): Promise<FastifyReply> {
    const { incident, provisional } = await history.stateAt(id, moment)
    if (provisional) markProvisional(reply)
    return reply.type('application/json; charset=utf-8').send(incidentJson(incident))
  }
}

function momentOf(query: z.output<typeof querystring>, nowMs: number): Moment | undefined {
  const { revision } = query
  const moment = pastMoment(query, nowMs)
  if (revision === undefined) return moment
  if (moment) throw invalidField('invalid-query', '/revision', 'must not come together with asOf or knownAt')
  return { revision }
}
