import { z } from 'zod'
import { type IncidentId, incidentId } from '../../aggregates/incident/index.ts'
import type { IncidentHistory, Keyring } from '../../ledger/ledger.ts'
import { listedEvent } from '../../projections/listed-event.ts'
import { type Queries, ReadModelError } from '../../projections/read-model.ts'
import { historyAnswer } from '../answers.ts'
import { cursorsOf } from '../cursor.ts'
import * as examples from '../examples.ts'
import type { App } from '../instance.ts'
import { operation } from '../operation.ts'
import { cursorParameter, keysetPage, pageSize } from '../pages.ts'

const params = z.object({ id: incidentId.meta({ examples: [examples.incidentId] }) })
const querystring = z.strictObject({
  limit: pageSize({ standard: 200, maximum: 1_000 }),
  cursor: cursorParameter,
})

/** GET /incidents/{id}/history */
export function incidentHistory(
  app: App,
  history: Pick<IncidentHistory, 'events'>,
  queries: Pick<Queries, 'indexesOf'>,
  keyring: Pick<Keyring, 'sign' | 'verify'>,
): void {
  const cursors = cursorsOf(keyring, 'history', z.int())
  const described = operation(
    {
      access: 'read',
      audited: true,
      tag: 'Incidents',
      summary: 'Read the history of an incident',
      description:
        'Every event, oldest first, from the event store itself: who, when, what. `index` is its place in the ledger, as soon as the read model has it.',
      answers: { 200: { description: 'A page of events.', schema: historyAnswer } },
      problems: ['invalid-cursor', 'incident-not-found', 'event-store-unavailable', 'history-unreadable'],
    },
    { params, querystring },
  )

  app.get('/incidents/:id/history', described, async ({ params: { id }, query }, reply) => {
    const find = async ({ limit, after = -1 }: { limit: number; after?: number }) => {
      const [records, indexes] = await Promise.all([history.events(id), knownIndexes(id)])
      return records
        .slice(after + 1, after + 1 + limit)
        .map((record) => listedEvent(record, indexes.get(record.revision) ?? null))
    }
    const json = await keysetPage(query, id, cursors, find, ({ revision }) => revision)
    return reply.type('application/json; charset=utf-8').send(json)
  })

  /** The history answers without the read model too. */
  async function knownIndexes(id: IncidentId): Promise<ReadonlyMap<number, number>> {
    try {
      return await queries.indexesOf(id)
    } catch (error) {
      if (error instanceof ReadModelError) return new Map()
      throw error
    }
  }
}
