import { evolve, type IncidentId, unreported } from '../aggregates/incident/index.ts'
import type { IncidentRecord, LedgerRecord } from '../ledger/event.ts'
import {
  type AccessKeyEventRow,
  accessKeyEventRow,
  type DetailsRow,
  detailsRow,
  type EventRow,
  eventRow,
  type Standing,
  type UnreadableRow,
  unreadableRow,
} from './incident-rows.ts'

/** What a batch of events changes in the read model. */
export interface Changes {
  readonly events: readonly EventRow[]
  readonly accessKeyEvents: readonly AccessKeyEventRow[]
  readonly details: readonly DetailsRow[]
  readonly incidents: ReadonlyMap<IncidentId, Standing>
  readonly unreadable: readonly UnreadableRow[]
  /** Everything personal that stands in rows of these incidents before the revision is to be forgotten. */
  readonly erasures: readonly Erasure[]
}

export interface Erasure {
  readonly incident_id: IncidentId
  readonly revision: number
  /** What of the incident is named as erased, also as it was before. */
  readonly erased: readonly string[]
}

/**
 * Folds a batch into the incidents it is about. Pure: any split of a history into batches comes to the same rows.
 * Every event of the ledger has its index, dense from `firstIndex`, whether it is projected or not.
 *
 * An event that cannot be read may have changed anything. So its incident stands still from there on, at the last state that
 * is certain: its later events are held back, and counted with the unreadable ones, until a version that reads it rebuilds.
 * (A command on such an incident is refused too, as `history-unreadable`.) That it stands still is seen by the revision,
 * which does not follow on; so is a history that begins with no report.
 *
 * @param before the state of every incident whose first event here is not its very first; absent: not reported.
 */
export function projectBatch(
  before: ReadonlyMap<IncidentId, Standing>,
  records: readonly LedgerRecord[],
  firstIndex: number,
): Changes {
  const events: EventRow[] = []
  const accessKeyEvents: AccessKeyEventRow[] = []
  const details: DetailsRow[] = []
  const incidents = new Map<IncidentId, Standing>()
  const unreadable: UnreadableRow[] = []
  const erasures: Erasure[] = []
  for (const [offset, record] of records.entries()) {
    const index = firstIndex + offset
    if (record.kind === 'unreadable') unreadable.push(unreadableRow(record, index, record.reason))
    if (record.kind === 'access-key') accessKeyEvents.push(accessKeyEventRow(record, index))
    if (record.kind !== 'incident') continue
    const { incidentId } = record
    const last = incidents.get(incidentId) ?? before.get(incidentId)
    const next = follow(last, record)
    if (next === undefined) {
      unreadable.push(unreadableRow(record, index, 'an earlier event of this incident cannot be read'))
      continue
    }
    incidents.set(incidentId, next)
    events.push(eventRow(record, index, last, next))
    if (record.event.type === 'IncidentPersonalDataErased') {
      const { erased = [] } = next.incident
      erasures.push({ incident_id: incidentId, revision: record.revision, erased })
    }
    if (next.detailsRevision === record.revision) details.push(detailsRow(next.incident))
  }
  return { events, accessKeyEvents, details, incidents, unreadable, erasures: lastOfEach(erasures) }
}

/** The incidents whose state one must know before a batch can be folded. */
export function incidentsBefore(records: readonly LedgerRecord[]): Set<IncidentId> {
  const known = new Set<IncidentId>()
  const needed = new Set<IncidentId>()
  for (const record of records) {
    if (record.kind !== 'incident' || known.has(record.incidentId)) continue
    known.add(record.incidentId)
    if (record.revision > 0) needed.add(record.incidentId)
  }
  return needed
}

/** The last erasure of an incident is the one that counts: it takes in all before. */
function lastOfEach(erasures: readonly Erasure[]): readonly Erasure[] {
  return [...new Map(erasures.map((erasure) => [erasure.incident_id, erasure])).values()]
}

/** The incident after one more event, or undefined where the event does not follow on. */
function follow(last: Standing | undefined, record: IncidentRecord): Standing | undefined {
  const { incidentId, revision, event } = record
  if (revision !== (last ? last.incident.revision + 1 : 0)) return undefined
  // What evolve would throw on.
  if ((event.type === 'IncidentReported') !== (last === undefined)) return undefined
  const incident = evolve(incidentId, last?.incident ?? unreported, event)
  const setsDetails = event.type === 'IncidentReported' || event.type === 'IncidentDetailsAmended'
  return {
    incident,
    detailsRevision: setsDetails ? revision : (last?.detailsRevision ?? 0),
    firstRecordedAt: last?.firstRecordedAt ?? event.recordedAt,
  }
}
