import type { IncidentCommand, RevisionBody } from './commands.ts'
import type { IncidentEvent, IncidentEventType, Occurrence } from './events.ts'
import { type Incident, type IncidentState, isReported } from './state.ts'
import { allowedFrom } from './transitions.ts'
import { type Instant, type Labels, limits, type Status, titleFrom } from './values.ts'

/** Why a command cannot be done. What the caller can do instead is in the members. */
export type Refusal =
  | { readonly code: 'incident-not-found' }
  | { readonly code: 'incident-exists' }
  | {
      readonly code: 'illegal-transition'
      readonly from: Status
      readonly to: Status
      readonly allowed: readonly Status[]
    }
  | { readonly code: 'incident-closed' }
  | { readonly code: 'incident-full'; readonly limit: number }
  | { readonly code: 'too-many-labels'; readonly limit: number }
  | { readonly code: 'occurred-in-future'; readonly latest: Instant }

export type Decision =
  | { readonly ok: true; readonly events: readonly IncidentEvent[] }
  | { readonly ok: false; readonly refusal: Refusal }

/**
 * What follows from a command in a state: the events to append, or why not. Asking for what already is, is success with
 * no event. Pure and total. Within an incident neither time line runs backwards: an earlier time is clamped to the last.
 */
export function decide(command: IncidentCommand, state: IncidentState): Decision {
  const decision = decided(command, state)
  // An erasure finds room in a full incident too: it is the last event there, and the next one has nothing left to erase.
  if (!decision.ok || !isReported(state) || command.type === 'ErasePersonalData') return decision
  return state.eventCount + decision.events.length > limits.eventsPerIncident
    ? refused({ code: 'incident-full', limit: limits.eventsPerIncident })
    : decision
}

function decided(command: IncidentCommand, state: IncidentState): Decision {
  if (command.type === 'Report') {
    return isReported(state) ? refused({ code: 'incident-exists' }) : report(command)
  }
  if (!isReported(state)) return refused({ code: 'incident-not-found' })
  const time = clamped(command, state)
  switch (command.type) {
    case 'ChangeStatus': {
      const { status: to, reason } = command.body
      const from = state.status
      if (to === from) return nothing
      const allowed = allowedFrom(from)
      if (!allowed.includes(to)) return refused({ code: 'illegal-transition', from, to, allowed })
      return accepted([happened('IncidentStatusChanged', { from, to, ...(reason && { reason }) }, time)])
    }
    case 'Revise':
      return revise(command.body, state, time)
    case 'AddNote':
      return accepted([happened('IncidentNoteAdded', { noteId: command.noteId, text: command.text }, time)])
    case 'ErasePersonalData':
      if (state.erasedRevision === state.revision) return nothing
      return accepted([happened('IncidentPersonalDataErased', command.body, time)])
    default:
      return command satisfies never
  }
}

function report({ at, recordedAt, body, origin, originRef }: IncidentCommand & { type: 'Report' }): Decision {
  const time = { at: earlier(at, recordedAt), recordedAt }
  const latest = new Date(Date.parse(recordedAt) + limits.occurredAheadMs).toISOString() as Instant
  if (body.occurredAt && body.occurredAt > latest) return refused({ code: 'occurred-in-future', latest })
  const data = {
    title: body.title ?? titleFrom(body.description),
    description: body.description,
    severity: body.severity,
    source: body.source,
    origin,
    ...(originRef && { originRef }),
    ...(body.externalKey && { externalKey: body.externalKey }),
    assignee: body.assignee,
    labels: body.labels,
    occurredAt: body.occurredAt ?? time.at,
  }
  return accepted([happened('IncidentReported', data, time)])
}

/** One event for each kind of change that changes something; details, severity and assignee in this order. */
function revise(body: RevisionBody, incident: Incident, time: Occurrence): Decision {
  const events: IncidentEvent[] = []
  const amended = {
    ...(body.title !== undefined && body.title !== incident.title && { title: body.title }),
    ...(body.description !== undefined &&
      body.description !== incident.description && { description: body.description }),
    ...changedLabels(body.labels, incident.labels),
  }
  if (amended.labels && Object.keys(amended.labels).length > limits.labels) {
    return refused({ code: 'too-many-labels', limit: limits.labels })
  }
  if (Object.keys(amended).length > 0) events.push(happened('IncidentDetailsAmended', amended, time))
  if (body.severity !== undefined && body.severity !== incident.severity) {
    events.push(happened('IncidentSeverityChanged', { from: incident.severity, to: body.severity }, time))
  }
  if (body.assignee !== undefined && body.assignee !== incident.assignee) {
    events.push(happened('IncidentAssigned', { from: incident.assignee, to: body.assignee }, time))
  }
  if (events.length > 0 && incident.status === 'closed') return refused({ code: 'incident-closed' })
  return accepted(events)
}

function changedLabels(patch: RevisionBody['labels'], current: Labels): { labels?: Record<string, string> } {
  if (patch === undefined) return {}
  const kept = Object.entries(current).filter(([key]) => !Object.hasOwn(patch, key))
  const set = Object.entries(patch).filter((entry): entry is [string, string] => entry[1] !== null)
  const unchanged =
    kept.length + set.length === Object.keys(current).length &&
    set.every(([key, value]) => current[key] === value)
  return unchanged ? {} : { labels: Object.fromEntries([...kept, ...set]) }
}

function clamped({ at, recordedAt }: Occurrence, incident: Incident): Occurrence {
  const recorded = later(recordedAt, incident.recordedAt)
  return { at: earlier(later(at, incident.updatedAt), recorded), recordedAt: recorded }
}

const earlier = (a: Instant, b: Instant) => (a < b ? a : b)
const later = (a: Instant, b: Instant) => (a > b ? a : b)

type DataOf<Type extends IncidentEventType> = Extract<IncidentEvent, { type: Type }>['data']

function happened<Type extends IncidentEventType>(
  type: Type,
  data: DataOf<Type>,
  time: Occurrence,
): IncidentEvent {
  return { type, data, ...time } as IncidentEvent // Type and DataOf<Type> belong together, which a union hides from tsc
}

const nothing: Decision = { ok: true, events: [] }
const accepted = (events: readonly IncidentEvent[]): Decision => ({ ok: true, events })
const refused = (refusal: Refusal): Decision => ({ ok: false, refusal })
