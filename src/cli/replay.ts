import {
  evolve,
  type Incident,
  type IncidentEvent,
  type IncidentId,
  type IncidentState,
  type Instant,
  instantOf,
  isReported,
  type Severity,
  type Source,
  type Status,
  severities,
  statuses,
  unreported,
} from '../aggregates/incident/index.ts'
import { LedgerError } from '../ledger/errors.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { recordsOf } from './ledger-records.ts'
import { type Terminal, writeJson, writeTable } from './terminal.ts'

/** What had happened by `asOf`, as far as the ledger knew it at `knownAt`; both included, each absent: now. */
export interface ReplayMoment {
  readonly asOf?: Instant | undefined
  readonly knownAt?: Instant | undefined
}

export interface ReplayOptions extends ReplayMoment {
  readonly ledger: Pick<Ledger, 'history' | 'subscribe' | 'provisionalMs'>
  readonly terminal: Terminal
  readonly json: boolean
  readonly signal: AbortSignal
}

/**
 * Reads every event from the first on and prints how many incidents there were in each status and severity. Holds nothing but
 * these counts, for each change says what it leads away from.
 */
export async function replayAll({ ledger, terminal, json, signal, ...moment }: ReplayOptions): Promise<void> {
  const provisional = isProvisional(moment, ledger)
  const counts = {
    incidents: 0,
    events: 0,
    later: 0,
    unreadable: 0,
    byStatus: zeroes(statuses),
    bySeverity: zeroes(severities),
  }
  for await (const record of recordsOf(ledger, signal)) {
    if (record.kind === 'unreadable') counts.unreadable += 1
    if (record.kind !== 'incident') continue
    if (isBy(moment, record.event)) count(record.event)
    else counts.later += 1
  }
  if (json) return writeJson(terminal, { type: 'replay', ...moment, provisional, ...counts })
  terminal.out.write(
    `${momentText(moment, provisional)}: ${counts.incidents} incidents, ${counts.events} events\n`,
  )
  writeTable(terminal, [...Object.entries(counts.byStatus), ...Object.entries(counts.bySeverity)])
  tellUnreadable(terminal, counts.unreadable)

  function count({ type, data }: IncidentEvent) {
    counts.events += 1
    switch (type) {
      case 'IncidentReported':
        counts.incidents += 1
        counts.byStatus.new += 1
        counts.bySeverity[data.severity] += 1
        break
      case 'IncidentStatusChanged':
        counts.byStatus[data.from] -= 1
        counts.byStatus[data.to] += 1
        break
      case 'IncidentSeverityChanged':
        counts.bySeverity[data.from] -= 1
        counts.bySeverity[data.to] += 1
        break
    }
  }
}

/** What an incident must have been to be listed; each absent: anything. */
export interface ReplayFilter {
  readonly status?: Status | undefined
  readonly severity?: Severity | undefined
  readonly source?: Source | undefined
}

/** As much of an incident as a list of them tells: some hundred bytes. */
type Listed = Pick<Incident, 'id' | 'reportedAt' | 'status' | 'severity' | 'source' | 'title'>

/**
 * Reads every event from the first on and prints the incidents that stood so at the moment, in the order of their reports, and how
 * many there were. Holds what it tells of each incident of that source, for a status or a severity may still change.
 */
export async function replayList(
  filter: ReplayFilter,
  { ledger, terminal, json, signal, ...moment }: ReplayOptions,
): Promise<void> {
  const provisional = isProvisional(moment, ledger)
  const standing = new Map<IncidentId, Listed>()
  let unreadable = 0
  for await (const record of recordsOf(ledger, signal)) {
    if (record.kind === 'unreadable') unreadable += 1
    if (record.kind !== 'incident' || !isBy(moment, record.event)) continue
    const { incidentId, event } = record
    const next = listedAfter(incidentId, standing.get(incidentId), event)
    if (next && isOf(next.source, filter.source)) standing.set(incidentId, next)
  }
  const found = [...standing.values()]
    .filter(({ status, severity }) => isOf(status, filter.status) && isOf(severity, filter.severity))
    .sort((a, b) => (a.reportedAt + a.id < b.reportedAt + b.id ? -1 : 1))

  if (json) {
    for (const incident of found) writeJson(terminal, { type: 'incident', incident })
    const incidents = found.length
    return writeJson(terminal, { type: 'replay', ...moment, provisional, ...filter, incidents, unreadable })
  }
  const wanted = Object.entries(filter).flatMap(([name, value]) => (value ? [`${name} ${value}`] : []))
  terminal.out.write(
    `${momentText(moment, provisional)}: ${found.length} incidents of ${wanted.join(', ')}\n`,
  )
  for (const { id, reportedAt, status, severity, title } of found) {
    terminal.out.write(
      `  ${id}  ${reportedAt}  ${status.padEnd(11)}  ${severity.padEnd(8)}  ${title ?? '(erased)'}\n`,
    )
  }
  tellUnreadable(terminal, unreadable)
}

/** Undefined where nothing is to be known of it: it is not one of those that are listed. */
function listedAfter(id: IncidentId, before: Listed | undefined, event: IncidentEvent): Listed | undefined {
  if (event.type === 'IncidentReported') {
    const { severity, source, title } = event.data
    return { id, reportedAt: event.at, status: 'new', severity, source, title }
  }
  if (before === undefined) return undefined
  switch (event.type) {
    case 'IncidentStatusChanged':
      return { ...before, status: event.data.to }
    case 'IncidentSeverityChanged':
      return { ...before, severity: event.data.to }
    case 'IncidentDetailsAmended':
      return { ...before, title: event.data.title ?? before.title }
    default:
      return before
  }
}

const isOf = <Value>(value: Value, wanted: Value | undefined) => wanted === undefined || value === wanted

/**
 * Prints the state of one incident.
 * @throws LedgerError `incident-not-found`, or `not-yet-reported` where it was not reported by then.
 */
export async function replayOne(
  id: IncidentId,
  { ledger, terminal, json, signal: _, ...moment }: ReplayOptions,
): Promise<void> {
  const provisional = isProvisional(moment, ledger)
  const records = await ledger.history.events(id)
  const state = records
    .filter(({ event }) => isBy(moment, event))
    .reduce((state: IncidentState, { event }) => evolve(id, state, event), unreported)
  if (!isReported(state)) throw new LedgerError({ code: 'not-yet-reported' })
  if (json) return writeJson(terminal, { type: 'incident', ...moment, provisional, incident: state })
  terminal.out.write(`${momentText(moment, provisional)}\n`)
  writeTable(
    terminal,
    Object.entries(state).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )
}

function tellUnreadable({ err }: Terminal, events: number): void {
  if (events > 0) err.write(`${events} events that this version cannot read are left out\n`)
}

/** Neither time line runs backwards within an incident, so the events of one that pass are its first ones. */
function isBy({ asOf, knownAt }: ReplayMoment, { at, recordedAt }: IncidentEvent): boolean {
  return (asOf === undefined || at <= asOf) && (knownAt === undefined || recordedAt <= knownAt)
}

/** Whether events may still be added to the answer: where neither moment is old enough to keep out what is being appended now. */
function isProvisional(
  { asOf, knownAt }: ReplayMoment,
  { provisionalMs }: Pick<Ledger, 'provisionalMs'>,
): boolean {
  const settledUntil = instantOf(Date.now() - provisionalMs)
  return [asOf, knownAt].every((moment) => moment === undefined || moment > settledUntil)
}

function momentText(
  { asOf = 'now', knownAt = 'now' }: { asOf?: string | undefined; knownAt?: string | undefined },
  provisional: boolean,
) {
  const mark = provisional ? ' (provisional: events of the last seconds may still be added)' : ''
  return `As of ${asOf}, as known at ${knownAt}${mark}`
}

function zeroes<Key extends string>(keys: readonly Key[]) {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<Key, number> // fromEntries forgets the keys
}
