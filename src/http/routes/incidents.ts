import { z } from 'zod'
import {
  incidentId,
  instant,
  labels,
  limits,
  name,
  severity,
  source,
  status,
} from '../../aggregates/incident/index.ts'
import type { Keyring } from '../../ledger/ledger.ts'
import type { Queries } from '../../projections/read-model.ts'
import { incidentsAnswer } from '../answers.ts'
import { cursorsOf } from '../cursor.ts'
import type { App } from '../instance.ts'
import { markIfProvisional, momentParameters, pastMoment } from '../moment.ts'
import { operation } from '../operation.ts'
import type { Pages } from '../page-cache.ts'
import { cursorParameter, keysetPage, pageSize } from '../pages.ts'
import { given, type ReadSeams } from '../read-seams.ts'

const labelFilter = z
  .string()
  .regex(/^[^:]+:/, 'must be a name and a value, such as team:payments')
  .transform((text) => [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)] as const)

const querystring = z.strictObject({
  status: status.optional(),
  source: source.optional(),
  severity: severity.optional(),
  assignee: name.optional(),
  label: z
    .union([labelFilter.transform((one) => [one]), z.array(labelFilter).max(limits.labels)])
    .transform((pairs): unknown => Object.fromEntries(pairs))
    .pipe(labels)
    .optional()
    .describe('`name:value`; given more than once, all of them must be there.'),
  q: z
    .string()
    .trim()
    .min(1)
    .max(200)
    .refine((text) => text.isWellFormed() && !text.includes('\u0000'), 'must be text')
    .optional()
    .describe('Words, as typed into a search box, in title and description.'),
  from: instant.optional().describe('Reported at this time or later.'),
  to: instant.optional().describe('Reported before this time.'),
  sort: z.enum(['reportedAt', '-reportedAt', 'updatedAt', '-updatedAt']).default('-reportedAt'),
  ...momentParameters,
  limit: pageSize({ standard: 50, maximum: 200 }),
  cursor: cursorParameter,
})

/** GET /incidents */
export function incidentList(
  app: App,
  queries: Pick<Queries, 'incidents'>,
  seams: ReadSeams & { readonly pages: Pages; readonly keyring: Pick<Keyring, 'sign' | 'verify'> },
): void {
  const cursors = cursorsOf(seams.keyring, 'incidents', z.strictObject({ at: instant, id: incidentId }))
  const described = operation(
    {
      access: 'read',
      tag: 'Incidents',
      summary: 'List and search incidents',
      description:
        'Filters are joined by AND. A page costs the same at any depth. With `asOf` or `knownAt`: the incidents as they were; such a page costs up to three times one of the present, and the more, the more incidents were under way then.',
      answers: {
        200: {
          description: 'A page of incidents.',
          schema: incidentsAnswer,
          headers: ['Ledger-Position', 'Ledger-Provisional'],
        },
      },
      requestHeaders: ['Ledger-Position'],
      problems: [
        'invalid-cursor',
        'moment-in-future',
        'read-model-unavailable',
        'query-timeout',
        'position-not-reached',
      ],
    },
    { querystring },
  )

  app.get('/incidents', { ...described, preHandler: seams.showingPosition }, async ({ query }, reply) => {
    const nowMs = seams.clock()
    const moment = pastMoment(query, nowMs)
    if (moment) markIfProvisional(reply, moment, nowMs, seams.provisionalMs)
    const found = await seams.pages(JSON.stringify(['incidents', query]), () => build(query))
    return reply.type('application/json; charset=utf-8').send(found)
  })

  function build(query: z.output<typeof querystring>): Promise<string> {
    const { limit, cursor, asOf, knownAt, label, sort, ...filters } = query
    const moment = pastMoment({ asOf, knownAt }, Number.POSITIVE_INFINITY)
    const by = sort === 'reportedAt' || sort === '-reportedAt' ? 'reportedAt' : 'updatedAt'
    return keysetPage(
      { limit, cursor },
      { ...filters, label, sort, moment },
      cursors,
      (bounds) =>
        queries.incidents({ ...given(filters), ...given({ labels: label, moment }), sort, ...bounds }),
      ({ id, [by]: at }) => ({ at, id }),
    )
  }
}
