import type { Incident } from '../../../src/aggregates/incident/index.ts'
import { severities, sources, statuses } from '../../../src/aggregates/incident/index.ts'
import { incidentJson } from '../../../src/projections/incident-rows.ts'
import type {
  IncidentsQuery,
  LedgerEventsQuery,
  ListedEvent,
  Queries,
} from '../../../src/projections/read-model.ts'

/** The read model's queries over what the given functions hold, by plain filtering and sorting. */
export function memoryQueries(source: {
  readonly incidents: () => readonly Incident[]
  readonly events: () => readonly ListedEvent[]
  readonly failing: () => Error | undefined
  readonly asked: { incidents: number; events: number }
}): Queries {
  const up = () => {
    const failure = source.failing()
    if (failure) throw failure
  }
  const eventsOf = (query: LedgerEventsQuery) => {
    up()
    source.asked.events += 1
    const { after, order } = query
    const found = source
      .events()
      .filter(
        (event) =>
          (!query.incidentId || event.incidentId === query.incidentId) &&
          // There are none of access keys here.
          !query.accessKeyId &&
          (!query.type || event.type === query.type) &&
          (!query.actorKind || event.actor.kind === query.actorKind) &&
          (!query.actorId || event.actor.id === query.actorId) &&
          (!query.from || event.recordedAt >= query.from) &&
          (!query.to || event.recordedAt < query.to),
      )
      .filter(({ index }) => after === undefined || (order === 'ascending' ? index > after : index < after))
    return (order === 'ascending' ? found : found.toReversed()).slice(0, query.limit)
  }
  return {
    incident: async (id) => {
      up()
      const found = source.incidents().find((incident) => incident.id === id)
      return found && { revision: found.revision, json: incidentJson(found) }
    },
    incidents: async (query) => {
      up()
      source.asked.incidents += 1
      const by = query.sort.endsWith('reportedAt') ? 'reportedAt' : 'updatedAt'
      const direction = query.sort.startsWith('-') ? -1 : 1
      const keyOf = (at: string, id: string) => `${at} ${id}`
      const compare = (a: string, b: string) => (a < b ? -direction : a > b ? direction : 0)
      const { after } = query
      return source
        .incidents()
        .filter((incident) => matches(incident, query))
        .toSorted((a, b) => compare(keyOf(a[by], a.id), keyOf(b[by], b.id)))
        .filter(({ id, [by]: at }) => !after || compare(keyOf(at, id), keyOf(after.at, after.id)) > 0)
        .slice(0, query.limit)
    },
    events: async (query) => eventsOf(query),
    ledgerEvents: async (query) => eventsOf(query),
    stats: async () => {
      up()
      const all = source.incidents()
      const countBy = <Key extends string>(keys: readonly Key[], of: (incident: Incident) => Key) =>
        Object.fromEntries(
          keys.map((key) => [key, all.filter((incident) => of(incident) === key).length]),
        ) as Record<Key, number> // fromEntries forgets which keys it was given
      return {
        total: all.length,
        byStatus: countBy(statuses, ({ status }) => status),
        bySource: countBy(sources, (incident) => incident.source),
        bySeverity: countBy(severities, ({ severity }) => severity),
        byDay: [],
        timeToAcknowledge: { count: 0, p50Seconds: null, p95Seconds: null },
        timeToResolve: { count: 0, p50Seconds: null, p95Seconds: null },
      }
    },
    indexesOf: async (id) => {
      up()
      const own = source.events().filter((event) => event.incidentId === id)
      return new Map(own.map(({ revision, index }) => [revision, index]))
    },
  }
}

function matches(incident: Incident, query: IncidentsQuery): boolean {
  const words = query.q?.toLowerCase().split(/\s+/) ?? []
  const text = `${incident.title} ${incident.description}`.toLowerCase()
  return (
    (!query.status || incident.status === query.status) &&
    (!query.source || incident.source === query.source) &&
    (!query.severity || incident.severity === query.severity) &&
    (!query.assignee || incident.assignee === query.assignee) &&
    Object.entries(query.labels ?? {}).every(([name, value]) => incident.labels[name] === value) &&
    words.every((word) => text.includes(word)) &&
    (!query.from || incident.reportedAt >= query.from) &&
    (!query.to || incident.reportedAt < query.to)
  )
}
