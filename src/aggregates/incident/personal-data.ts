/**
 * Which fields of events and of incidents are text that may be about a person. The ledger keeps them apart from the rest, so that they can be
 * erased; then they are null (labels: none), and named in a list `erased`.
 */
import type { IncidentEventType } from './events.ts'

export const personalFields = {
  IncidentReported: ['title', 'description', 'assignee', 'labels', 'originRef'],
  IncidentStatusChanged: ['reason'],
  IncidentSeverityChanged: ['reason'],
  IncidentAssigned: ['from', 'to'],
  IncidentDetailsAmended: ['title', 'description', 'labels'],
  IncidentNoteAdded: ['text'],
  IncidentPersonalDataErased: ['reason'],
} as const satisfies Readonly<Record<IncidentEventType, readonly string[]>>

export type PersonalField<Type extends IncidentEventType> = (typeof personalFields)[Type][number]

/** Of an incident, in the order in which `erased` names them. */
export const erasableFields = personalFields.IncidentReported
export type ErasableField = (typeof erasableFields)[number]
