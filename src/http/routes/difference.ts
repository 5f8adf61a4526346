import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { type Instant, incidentId } from '../../aggregates/incident/index.ts'
import type { IncidentRecord } from '../../ledger/event.ts'
import type { IncidentHistory, Moment } from '../../ledger/ledger.ts'
import { differenceAnswer } from '../answers.ts'
import { differenceBetween } from '../difference.ts'
import * as examples from '../examples.ts'
import type { App } from '../instance.ts'
import { invalidField } from '../invalid-input.ts'
import { markIfProvisional, markProvisional, past, revisionOrTime } from '../moment.ts'
import { operation } from '../operation.ts'
import type { ReadSeams } from '../read-seams.ts'

const params = z.object({ id: incidentId.meta({ examples: [examples.incidentId] }) })
const querystring = z.strictObject({
  from: revisionOrTime.describe('A revision, or a time.').meta({ examples: ['0'] }),
  to: revisionOrTime
    .optional()
    .describe('A revision, or a time; absent: as it is.')
    .meta({ examples: ['1'] }),
  timeLine: z
    .enum(['asOf', 'knownAt'])
    .default('asOf')
    .describe('What times ask for: what had happened by then, or what this ledger knew by then.'),
})

/** GET /incidents/{id}/diff */
export function incidentDifference(
  app: App,
  history: IncidentHistory,
  { clock, provisionalMs }: Pick<ReadSeams, 'clock' | 'provisionalMs'>,
): void {
  const described = operation(
    {
      access: 'read',
      audited: true,
      tag: 'Incidents',
      summary: 'Compare two states of an incident',
      description: 'Field by field, with who changed it last and when; and the notes added in between.',
      answers: {
        200: { description: 'What differs.', schema: differenceAnswer, headers: ['Ledger-Provisional'] },
      },
      problems: [
        'moment-in-future',
        'incident-not-found',
        'not-yet-reported',
        'event-store-unavailable',
        'history-unreadable',
      ],
    },
    { params, querystring },
  )

  app.get('/incidents/:id/diff', described, async ({ params: { id }, query }, reply) => {
    const moments = momentsOf(query, clock(), reply)
    const [from, to] = await Promise.all([
      history.stateAt(id, moments.from),
      moments.to && history.stateAt(id, moments.to),
    ])
    // Read last, so that nothing is in the states that is not in here.
    const records = await history.events(id)
    const now = to ?? (await history.stateAt(id, { revision: records.length - 1 }))
    if (from.incident.revision > now.incident.revision) {
      throw invalidField('invalid-query', '/to', 'must not lie before from')
    }
    if (from.provisional || now.provisional) markProvisional(reply)
    return {
      id,
      from: sideOf(from.incident),
      to: sideOf(now.incident),
      changes: differenceBetween(from.incident, now.incident, records),
      notes: notesOf(records.slice(from.incident.revision + 1, now.incident.revision + 1)),
    }
  })

  /** Marks the answer where one of them may still gain events. */
  function momentsOf(
    { from, to, timeLine }: z.output<typeof querystring>,
    nowMs: number,
    reply: FastifyReply,
  ) {
    const momentOf = (value: number | Instant, path: string): Moment => {
      if (typeof value === 'number') return { revision: value }
      const time = past(value, path, nowMs)
      const moment = timeLine === 'asOf' ? { asOf: time } : { knownAt: time }
      markIfProvisional(reply, moment, nowMs, provisionalMs)
      return moment
    }
    return { from: momentOf(from, '/from'), to: to === undefined ? undefined : momentOf(to, '/to') }
  }
}

const sideOf = ({ revision, updatedAt }: { readonly revision: number; readonly updatedAt: Instant }) => ({
  revision,
  at: updatedAt,
})

function notesOf(records: readonly IncidentRecord[]) {
  return records.flatMap(({ event, revision, metadata: { actor } }) =>
    event.type === 'IncidentNoteAdded' ? [{ ...event.data, revision, at: event.at, actor }] : [],
  )
}
