import { z } from 'zod'
import { instant } from '../../aggregates/incident/index.ts'
import type { Queries } from '../../projections/read-model.ts'
import { statsAnswer } from '../answers.ts'
import type { App } from '../instance.ts'
import { markIfProvisional, momentParameters, pastMoment } from '../moment.ts'
import { operation } from '../operation.ts'
import type { Pages } from '../page-cache.ts'
import { given, type ReadSeams } from '../read-seams.ts'

const querystring = z.strictObject({
  from: instant.optional().describe('Of incidents reported at this time or later.'),
  to: instant.optional().describe('Of incidents reported before this time.'),
  ...momentParameters,
})

/** GET /stats */
export function stats(
  app: App,
  queries: Pick<Queries, 'stats'>,
  seams: ReadSeams & { readonly pages: Pages },
): void {
  const described = operation(
    {
      access: 'read',
      tag: 'Incidents',
      summary: 'Count incidents and measure how long they take',
      description: 'Counts by status, source, severity and day; time to acknowledge and to resolve.',
      answers: {
        200: {
          description: 'The figures.',
          schema: statsAnswer,
          headers: ['Ledger-Position', 'Ledger-Provisional'],
        },
      },
      requestHeaders: ['Ledger-Position'],
      problems: ['moment-in-future', 'read-model-unavailable', 'query-timeout', 'position-not-reached'],
    },
    { querystring },
  )

  app.get('/stats', { ...described, preHandler: seams.showingPosition }, async ({ query }, reply) => {
    const nowMs = seams.clock()
    const moment = pastMoment(query, nowMs)
    if (moment) markIfProvisional(reply, moment, nowMs, seams.provisionalMs)
    const { from, to } = query
    const found = await seams.pages(JSON.stringify(['stats', query]), async () =>
      JSON.stringify(await queries.stats({ ...given({ from, to }), ...(moment && { moment }) })),
    )
    return reply.type('application/json; charset=utf-8').send(found)
  })
}
