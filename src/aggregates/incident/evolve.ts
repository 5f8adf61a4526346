import type { IncidentEvent } from './events.ts'
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
      return { ...incident, assignee: event.data.to }
    case 'IncidentDetailsAmended': {
      const { title, description, labels } = event.data
      return {
        ...incident,
        title: title ?? incident.title,
        description: description ?? incident.description,
        labels: labels ?? incident.labels,
      }
    }
    case 'IncidentNoteAdded':
      return incident
    default:
      return event satisfies never
  }
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
