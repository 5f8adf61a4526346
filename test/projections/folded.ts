/** The plain model of what the read model answers: every event folded, then filtered, sorted and counted. */
import { expect } from 'vitest'
import {
  evolve,
  type Incident,
  type IncidentId,
  type IncidentState,
  isReported,
  severities,
  sources,
  statuses,
  unreported,
} from '../../src/aggregates/incident/index.ts'
import type { LedgerRecord } from '../../src/ledger/event.ts'
import type { IncidentsQuery, PastMoment, Stats, StatsQuery } from '../../src/projections/read-model.ts'

/** A list, from its first page to its last. */
export function listed(records: readonly LedgerRecord[], query: Omit<IncidentsQuery, 'limit'>): Incident[] {
  const key = query.sort.endsWith('updatedAt') ? 'updatedAt' : 'reportedAt'
  const direction = query.sort.startsWith('-') ? -1 : 1
  const place = (incident: Incident) => incident[key] + incident.id
  return statesAt(records, query.moment)
    .filter((incident) => matches(incident, query))
    .sort((a, b) => (place(a) < place(b) ? -direction : direction))
}

/** The incidents as they stood: now, or at a moment on one of the two time lines. */
export function statesAt(records: readonly LedgerRecord[], past?: PastMoment): Incident[] {
  const states = new Map<IncidentId, IncidentState>()
  for (const record of records) {
    if (record.kind !== 'incident') continue
    const { incidentId, event } = record
    if (past && ('asOf' in past ? event.at > past.asOf : event.recordedAt > past.knownAt)) continue
    states.set(incidentId, evolve(incidentId, states.get(incidentId) ?? unreported, event))
  }
  return [...states.values()].filter(isReported)
}

/** `GET /stats`. The seconds are what floating point makes of them. */
export function counted(records: readonly LedgerRecord[], { moment, ...period }: StatsQuery): Stats {
  const chosen = statesAt(records, moment).filter((incident) => matches(incident, period))
  const days = new Map<string, { reported: number; resolved: number }>()
  const onDay = (at: string) => {
    const day = days.get(at.slice(0, 10)) ?? { reported: 0, resolved: 0 }
    days.set(at.slice(0, 10), day)
    return day
  }
  for (const { reportedAt, resolvedAt } of chosen) {
    onDay(reportedAt).reported += 1
    if (resolvedAt) onDay(resolvedAt).resolved += 1
  }
  return {
    total: chosen.length,
    byStatus: tally(statuses, chosen, ({ status }) => status),
    bySource: tally(sources, chosen, ({ source }) => source),
    bySeverity: tally(severities, chosen, ({ severity }) => severity),
    byDay: [...days]
      .map(([day, happened]) => ({ day, ...happened }))
      .sort((a, b) => (a.day < b.day ? 1 : -1))
      .slice(0, 366),
    timeToAcknowledge: durations(chosen, ({ acknowledgedAt }) => acknowledgedAt),
    timeToResolve: durations(chosen, ({ resolvedAt }) => resolvedAt),
  }
}

function tally<Key extends string>(
  keys: readonly Key[],
  incidents: readonly Incident[],
  keyOf: (incident: Incident) => Key,
): Record<Key, number> {
  const counts = keys.map((key) => [key, incidents.filter((one) => keyOf(one) === key).length])
  return Object.fromEntries(counts) as Record<Key, number> // fromEntries forgets the keys
}

function durations(incidents: readonly Incident[], endOf: (incident: Incident) => string | null) {
  const seconds = incidents
    .flatMap((incident) => {
      const end = endOf(incident)
      return end === null ? [] : [(Date.parse(end) - Date.parse(incident.reportedAt)) / 1_000]
    })
    .sort((a, b) => a - b)
  return {
    count: seconds.length,
    p50Seconds: percentile(seconds, 0.5),
    p95Seconds: percentile(seconds, 0.95),
  }
}

/** Between the two nearest ranks, as percentile_cont has it. */
function percentile(ascending: readonly number[], fraction: number) {
  const rank = fraction * (ascending.length - 1)
  const [below, above] = [ascending[Math.floor(rank)], ascending[Math.ceil(rank)]]
  if (below === undefined || above === undefined) return null
  return expect.closeTo(below + (rank - Math.floor(rank)) * (above - below), 6)
}

function matches(
  incident: Incident,
  { status, source, severity, assignee, labels, q, from, to }: Partial<IncidentsQuery>,
) {
  return (
    (status === undefined || incident.status === status) &&
    (source === undefined || incident.source === source) &&
    (severity === undefined || incident.severity === severity) &&
    (assignee === undefined || incident.assignee === assignee) &&
    Object.entries(labels ?? {}).every(([name, value]) => incident.labels[name] === value) &&
    (q === undefined || hasWords(`${incident.title} ${incident.description}`, q)) &&
    (from === undefined || incident.reportedAt >= from) &&
    (to === undefined || incident.reportedAt < to)
  )
}

/** Of the words above: what websearch_to_tsquery does with them. */
function hasWords(text: string, q: string): boolean {
  const words = new Set(text.toLowerCase().split(/[^\p{L}\p{N}_]+/u))
  switch (q) {
    case 'disk -down':
      return words.has('disk') && !words.has('down')
    case "\\' OR 1=1":
    case '%s':
      return false
    default:
      return q
        .toLowerCase()
        .split(/[^\p{L}\p{N}_]+/u)
        .every((word) => words.has(word))
  }
}
