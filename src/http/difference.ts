import { evolve, type Incident, type IncidentState, unreported } from '../aggregates/incident/index.ts'
import type { IncidentRecord, RecordedActor } from '../ledger/event.ts'
import { pointer } from './invalid-input.ts'

export interface Change {
  /** JSON Pointer into the incident. */
  readonly path: string
  readonly from: unknown
  readonly to: unknown
  /** Of the last event in between that changed it. */
  readonly revision: number
  readonly at: string
  readonly actor: RecordedActor
}

/** What people set; the rest follows from it, or counts. */
const authored = ['title', 'description', 'status', 'severity', 'assignee'] as const

/**
 * What differs between two revisions of an incident, field by field and label by label, each with who changed it last and when.
 * `records` is its history from the first event, at least up to `to`.
 */
export function differenceBetween(
  from: Incident,
  to: Incident,
  records: readonly IncidentRecord[],
): readonly Change[] {
  const before = fieldsOf(from)
  const after = fieldsOf(to)
  const last = lastChanges(records.slice(0, to.revision + 1))
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((path) => before.get(path) !== after.get(path))
    .flatMap((path) => {
      const record = last.get(path)
      if (!record) return []
      const { event, metadata, revision } = record
      return [
        { path, from: before.get(path), to: after.get(path), revision, at: event.at, actor: metadata.actor },
      ]
    })
}

/** By field, the last event that changed it. */
function lastChanges(records: readonly IncidentRecord[]): ReadonlyMap<string, IncidentRecord> {
  const last = new Map<string, IncidentRecord>()
  let state: IncidentState = unreported
  let before = new Map<string, unknown>()
  for (const record of records) {
    state = evolve(record.incidentId, state, record.event)
    const after = fieldsOf(state)
    for (const path of new Set([...before.keys(), ...after.keys()])) {
      if (before.get(path) !== after.get(path)) last.set(path, record)
    }
    before = after
  }
  return last
}

function fieldsOf(incident: Incident): Map<string, unknown> {
  return new Map<string, unknown>([
    ...authored.map((name) => [`/${name}`, incident[name]] as const),
    ...Object.entries(incident.labels).map(([name, value]) => [pointer(['labels', name]), value] as const),
  ])
}
