import {
  evolve,
  type IncidentEvent,
  type IncidentId,
  type IncidentState,
  type Instant,
  instantOf,
  isReported,
  severities,
  statuses,
  unreported,
} from '../aggregates/incident/index.ts'
import { LedgerError } from '../ledger/errors.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { type Terminal, writeJson, writeTable } from './terminal.ts'

const batchSize = 1_000

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
  const reading = new AbortController()
  const either = AbortSignal.any([signal, reading.signal])
  for await (const { records, caughtUp } of ledger.subscribe({ batchSize, signal: either })) {
    for (const record of records) {
      if (record.kind === 'unreadable') counts.unreadable += 1
      if (record.kind !== 'incident') continue
      if (isBy(moment, record.event)) count(record.event)
      else counts.later += 1
    }
    if (caughtUp) break
  }
  reading.abort()
  signal.throwIfAborted()
  if (json) return writeJson(terminal, { type: 'replay', ...moment, provisional, ...counts })
  terminal.out.write(
    `${momentText(moment, provisional)}: ${counts.incidents} incidents, ${counts.events} events\n`,
  )
  writeTable(terminal, [...Object.entries(counts.byStatus), ...Object.entries(counts.bySeverity)])
  if (counts.unreadable > 0) {
    terminal.err.write(`${counts.unreadable} events that this version cannot read are left out\n`)
  }

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
