import type { IncidentEvent } from './events.ts'
import { type ErasableField, erasableFields } from './personal-data.ts'
import { type Incident, type IncidentState, isReported } from './state.ts'
import { isReopening } from './transitions.ts'
import type { IncidentId } from './values.ts'

/**
 * The state after one more event of the incident `id`. Pure, and total for every history that `decide` can write.
 * @throws RangeError where the history is none: its first event is no report, or a report follows another.
 */
export function evolve(id: IncidentId, state: IncidentState, event: IncidentEvent): Incident {
  if (event.type === 'IncidentReported') {
    if (isReported(state)) throw new RangeError(`incident ${id} was reported twice`)
    const { originRef, externalKey, ...data } = event.data
    return {
      ...data,
      id,
      originRef: originRef ?? null,
      externalKey: externalKey ?? null,
      status: 'new',
      acknowledgedAt: null,
      resolvedAt: null,
      reportedAt: event.at,
      updatedAt: event.at,
      recordedAt: event.recordedAt,
      revision: 0,
      eventCount: 1,
      reopenCount: 0,
      labels: data.labels ?? {},
      ...(event.erased && { erased: event.erased }),
    }
  }
  if (!isReported(state)) throw new RangeError(`the history of incident ${id} does not begin with a report`)
  return { ...changed(state, event), ...advanced(state, event) }
}

type Change = Exclude<IncidentEvent, { type: 'IncidentReported' }>

function changed(incident: Incident, event: Change): Incident {
  switch (event.type) {
    case 'IncidentStatusChanged':
      return progressed(incident, event)
    case 'IncidentSeverityChanged':
      return { ...incident, severity: event.data.to }
    case 'IncidentAssigned':
      return restated(incident, { assignee: event.data.to }, event.erased?.includes('to') ? ['assignee'] : [])
    case 'IncidentDetailsAmended': {
      const { title, description, labels } = event.data
      const given = {
        ...(title !== undefined && { title }),
        ...(description !== undefined && { description }),
        ...(labels !== undefined && { labels: labels ?? {} }),
      }
      return restated(incident, given, event.erased ?? [])
    }
    case 'IncidentNoteAdded':
      return incident
    case 'IncidentPersonalDataErased':
      return { ...withoutPersonalData(incident), erasedRevision: incident.revision + 1 }
    default:
      return event satisfies never
  }
}

/** With fields that were stated anew: `gone` of them were erased since, the others are no longer. */
function restated(
  incident: Incident,
  given: Partial<Pick<Incident, ErasableField>>,
  gone: readonly ErasableField[],
): Incident {
  const changed = { ...incident, ...given }
  if (gone.length === 0 && incident.erased === undefined) return changed
  const { erased = [], ...rest } = changed
  const still = erasableFields.filter((field) =>
    Object.hasOwn(given, field) ? gone.includes(field) : erased.includes(field),
  )
  return still.length > 0 ? { ...rest, erased: still } : rest
}

function withoutPersonalData(incident: Incident): Incident {
  const hasOriginRef = incident.originRef !== null || incident.erased?.includes('originRef') === true
  const erased = erasableFields.filter((field) => field !== 'originRef' || hasOriginRef)
  return { ...incident, title: null, description: null, assignee: null, labels: {}, originRef: null, erased }
}

function progressed(
  incident: Incident,
  { data: { to }, at }: Change & { type: 'IncidentStatusChanged' },
): Incident {
  const acknowledgedAt = incident.acknowledgedAt ?? at
  switch (to) {
    case 'new':
      return { ...incident, status: to, acknowledgedAt: null, resolvedAt: null }
    case 'in_progress': {
      const reopenCount = incident.reopenCount + (isReopening(incident.status, to) ? 1 : 0)
      return { ...incident, status: to, acknowledgedAt, resolvedAt: null, reopenCount }
    }
    case 'on_hold':
      return { ...incident, status: to, acknowledgedAt, resolvedAt: null }
    case 'resolved':
      return { ...incident, status: to, acknowledgedAt, resolvedAt: at }
    case 'closed':
      return { ...incident, status: to, acknowledgedAt, resolvedAt: incident.resolvedAt ?? at }
    default:
      return to satisfies never
  }
}

function advanced(incident: Incident, event: Change) {
  return {
    updatedAt: event.at,
    recordedAt: event.recordedAt,
    revision: incident.revision + 1,
    eventCount: incident.eventCount + 1,
  }
}
