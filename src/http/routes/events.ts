import { z } from 'zod'
import { accessKeyEventTypes, accessKeyId } from '../../aggregates/access-key/index.ts'
import { incidentEventTypes, incidentId, instant, name } from '../../aggregates/incident/index.ts'
import { actorKinds } from '../../ledger/event.ts'
import type { Keyring } from '../../ledger/ledger.ts'
import type { Queries } from '../../projections/read-model.ts'
import { eventsAnswer } from '../answers.ts'
import { cursorsOf } from '../cursor.ts'
import type { App } from '../instance.ts'
import { operation } from '../operation.ts'
import type { Pages } from '../page-cache.ts'
import { cursorParameter, keysetPage, pageSize } from '../pages.ts'
import { given, type ReadSeams } from '../read-seams.ts'

const querystring = z.strictObject({
  actorKind: z.enum(actorKinds).optional(),
  actorId: name.optional(),
  type: z.enum([...incidentEventTypes, ...accessKeyEventTypes]).optional(),
  incidentId: incidentId.optional(),
  accessKeyId: accessKeyId
    .optional()
    .describe('What was done to the access key; what was done with it has it as `actorId`.'),
  from: instant.optional().describe('Recorded at this time or later.'),
  to: instant.optional().describe('Recorded before this time.'),
  sort: z.enum(['index', '-index']).default('-index').describe('Oldest first, or newest first.'),
  limit: pageSize({ standard: 100, maximum: 1_000 }),
  cursor: cursorParameter,
})

/** GET /events */
export function eventList(
  app: App,
  queries: Pick<Queries, 'ledgerEvents'>,
  seams: ReadSeams & { readonly pages: Pages; readonly keyring: Pick<Keyring, 'sign' | 'verify'> },
): void {
  const cursors = cursorsOf(seams.keyring, 'events', z.int())
  const described = operation(
    {
      access: 'audit',
      audited: true,
      tag: 'Events',
      summary: 'List events across incidents and access keys',
      description:
        'Who did what, when: across all incidents and access keys, so it takes the scope `audit`. Filters are joined by AND. A page costs the same at any depth.',
      answers: {
        200: { description: 'A page of events.', schema: eventsAnswer, headers: ['Ledger-Position'] },
      },
      requestHeaders: ['Ledger-Position'],
      problems: ['invalid-cursor', 'read-model-unavailable', 'query-timeout', 'position-not-reached'],
    },
    { querystring },
  )

  app.get('/events', { ...described, preHandler: seams.showingPosition }, async ({ query }, reply) => {
    const found = await seams.pages(JSON.stringify(['events', query]), () => build(query))
    return reply.type('application/json; charset=utf-8').send(found)
  })

  function build({ limit, cursor, sort, ...filters }: z.output<typeof querystring>): Promise<string> {
    const order = sort === 'index' ? 'ascending' : 'descending'
    return keysetPage(
      { limit, cursor },
      { ...filters, sort },
      cursors,
      (bounds) => queries.ledgerEvents({ ...given(filters), order, ...bounds }),
      ({ index }) => index,
    )
  }
}
