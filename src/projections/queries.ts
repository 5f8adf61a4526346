import pg from 'pg'
import type { IncidentId } from '../aggregates/incident/index.ts'
import {
  type AccessKeyEventRow,
  type CurrentRow,
  type EventRow,
  incidentJson,
  incidentOf,
} from './incident-rows.ts'
import { readStandings } from './incident-store.ts'
import { erasedIn } from './listed-event.ts'
import {
  type CacheReader,
  type IncidentsQuery,
  type ListedAccessKeyEvent,
  type ListedEvent,
  type Queries,
  ReadModelError,
  type Stats,
} from './read-model.ts'
import { sql } from './sql.ts'

/** Answers from Postgres, and the state of one incident through the cache. `pool`'s statements must have a timeout. */
export function openQueries(pool: pg.Pool, cache: CacheReader): Queries {
  const ask = async <Row extends pg.QueryResultRow>(query: string, parameter: string): Promise<Row[]> => {
    const asked = pool.query<Row>({ name: query, text: sql(`queries/${query}`), values: [parameter] })
    return (await answerOf(asked)).rows
  }
  const readIncident = async (id: IncidentId) => {
    const standing = (await answerOf(readStandings(pool, [id]))).get(id)
    if (standing === undefined) return undefined
    return { revision: standing.incident.revision, json: incidentJson(standing.incident) }
  }

  return {
    async incident(id) {
      const kept = await cache.get(id)
      if (!('missed' in kept)) return kept
      // Read only now: what was read before the lease may be older than what others have seen.
      const incident = await readIncident(id)
      if (incident && kept.lease !== undefined) void cache.fill(id, kept.lease, incident)
      return incident
    },

    async incidents(query) {
      const rows = await ask<Omit<CurrentRow, 'first_recorded_at'>>('list_incidents', incidentsJson(query))
      return rows.map(incidentOf)
    },

    async events(query) {
      const rows = await ask<ListedEventRow>('list_events', JSON.stringify({ ...query, about: 'incidents' }))
      return rows.map(listedEvent)
    },

    async ledgerEvents(query) {
      const rows = await ask<ListedEventRow | ListedAccessKeyEventRow>('list_events', JSON.stringify(query))
      return rows.map((row) => (isOfAccessKey(row) ? listedAccessKeyEvent(row) : listedEvent(row)))
    },

    async stats({ moment, ...bounds }) {
      const [row] = await ask<{ stats: StatsDocument }>(
        'incident_stats',
        JSON.stringify({ ...bounds, ...moment }),
      )
      if (row === undefined) throw new Error('incident_stats answered nothing')
      return statsOf(row.stats)
    },

    async indexesOf(id) {
      const rows = await ask<{ revision: number; index: string }>('indexes_of', id)
      return new Map(rows.map(({ revision, index }) => [revision, Number(index)]))
    },
  }
}

/** What list_incidents takes. */
export function incidentsJson({ labels = {}, after, moment, ...query }: IncidentsQuery): string {
  return JSON.stringify({
    ...query,
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(after && { afterAt: after.at, afterId: after.id }),
    ...moment,
  })
}

type ListedEventRow = Omit<EventRow, 'index'> & {
  /** Decimal, as it may be greater than a double can hold. */
  readonly index: string
}

type ListedAccessKeyEventRow = Omit<AccessKeyEventRow, 'index'> & { readonly index: string }

function isOfAccessKey(row: ListedEventRow | ListedAccessKeyEventRow): row is ListedAccessKeyEventRow {
  return 'access_key_id' in row && row.access_key_id !== null
}

function listedAccessKeyEvent(row: ListedAccessKeyEventRow): ListedAccessKeyEvent {
  return {
    index: Number(row.index),
    id: row.id,
    accessKeyId: row.access_key_id,
    revision: row.revision,
    type: row.type,
    at: row.at,
    recordedAt: row.recorded_at,
    actor: { kind: row.actor_kind, id: row.actor_id, name: row.actor_name },
    correlationId: row.correlation_id,
    data: row.data,
  }
}

function listedEvent(row: ListedEventRow): ListedEvent {
  return {
    index: Number(row.index),
    id: row.id,
    incidentId: row.incident_id,
    revision: row.revision,
    type: row.type,
    at: row.at,
    recordedAt: row.recorded_at,
    actor: { kind: row.actor_kind, id: row.actor_id, name: row.actor_name },
    correlationId: row.correlation_id,
    data: row.data,
    ...erasedIn(row.erased_fields, row.actor_name),
  }
}

/** What incident_stats answers: counts of what there is, null where there is nothing. */
type StatsDocument = Pick<Stats, 'total' | 'timeToAcknowledge' | 'timeToResolve'> & {
  readonly byStatus: Partial<Stats['byStatus']> | null
  readonly bySource: Partial<Stats['bySource']> | null
  readonly bySeverity: Partial<Stats['bySeverity']> | null
  readonly byDay: Stats['byDay'] | null
}

function statsOf({ byStatus, bySource, bySeverity, byDay, ...rest }: StatsDocument): Stats {
  return {
    ...rest,
    byStatus: { new: 0, in_progress: 0, on_hold: 0, resolved: 0, closed: 0, ...byStatus },
    bySource: { operator: 0, monitoring: 0, partner: 0, ...bySource },
    bySeverity: { critical: 0, high: 0, medium: 0, low: 0, ...bySeverity },
    byDay: byDay ?? [],
  }
}

/** Throws ReadModelError for what Postgres cannot help. */
export async function answerOf<Answer>(asked: Promise<Answer>): Promise<Answer> {
  try {
    return await asked
  } catch (error) {
    const code = error instanceof pg.DatabaseError ? (error.code ?? '') : undefined
    if (code === queryCanceled) throw new ReadModelError('query-timeout', { cause: error })
    if (code === undefined || passing.test(code))
      throw new ReadModelError('read-model-unavailable', { cause: error })
    throw error
  }
}

const queryCanceled = '57014'
/**
 * Classes of SQLSTATE that are not the query's fault: connection, rollback (deadlock), resources, operator, system. And columns and tables that
 * are not there: the read model has the form of another version, and is made anew.
 * https://www.postgresql.org/docs/18/errcodes-appendix.html
 */
const passing = /^(08|40|53|57|58|XX|42703|42P01)/
