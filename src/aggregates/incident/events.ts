/**
 * What can have happened to an incident. Past tense, facts only, nothing derived. These schemas are what is validated on
 * write and on read, but for what was erased meanwhile; `schemaVersion` of the events below is 1 for all of them.
 */
import { z } from 'zod'
import { type PersonalField, personalFields } from './personal-data.ts'
import * as values from './values.ts'

const reported = z.strictObject({
  title: values.title,
  description: values.description,
  severity: values.severity,
  source: values.source,
  /** Which credential or integration brought it; never taken from a request's body. */
  origin: values.name,
  originRef: values.name.optional(),
  externalKey: values.name.optional(),
  assignee: values.name.nullable(),
  labels: values.labels,
  occurredAt: values.instant,
})

const statusChanged = z.strictObject({
  from: values.status,
  to: values.status,
  reason: values.remark.optional(),
})

const severityChanged = z.strictObject({
  from: values.severity,
  to: values.severity,
  reason: values.remark.optional(),
})

const assigned = z.strictObject({
  from: values.name.nullable(),
  to: values.name.nullable(),
})

const detailsAmended = z.strictObject({
  title: values.title.optional(),
  description: values.description.optional(),
  /** The whole set of labels after the amendment. */
  labels: values.labels.optional(),
})

const noteAdded = z.strictObject({
  noteId: z.uuid(),
  text: values.remark,
})

/** Everything personal that was recorded until then is gone for good: the fields of all earlier events that can be about a person. */
const personalDataErased = z.strictObject({ reason: values.remark })

/** The shape of each event's data, by its type. */
export const incidentEventData = {
  IncidentReported: reported,
  IncidentStatusChanged: statusChanged,
  IncidentSeverityChanged: severityChanged,
  IncidentAssigned: assigned,
  IncidentDetailsAmended: detailsAmended,
  IncidentNoteAdded: noteAdded,
  IncidentPersonalDataErased: personalDataErased,
} as const

/** The shape of an event's data as it is read, when a part of it may have been erased. */
export function readEventData(type: IncidentEventType): z.ZodObject {
  const { shape } = incidentEventData[type]
  const erasable: readonly string[] = personalFields[type]
  const fields = Object.entries(shape).map(([name, field]: [string, z.ZodType]) => [
    name,
    erasable.includes(name) ? field.nullable() : field,
  ])
  return z.strictObject(Object.fromEntries(fields) as Record<string, z.ZodType>) // fromEntries forgets the keys
}

export type IncidentEventType = keyof typeof incidentEventData
export const incidentEventTypes = Object.keys(incidentEventData) as IncidentEventType[]

/** On both time lines: `at` is when it happened, `recordedAt` when this ledger decided it. */
export interface Occurrence {
  readonly at: values.Instant
  readonly recordedAt: values.Instant
}

export type IncidentEvent = {
  [Type in IncidentEventType]: {
    readonly type: Type
    readonly data: Erasable<Readonly<z.output<(typeof incidentEventData)[Type]>>, PersonalField<Type>>
    /** The fields of its data that were erased, and are null now; absent where none was. */
    readonly erased?: readonly PersonalField<Type>[]
  } & Occurrence
}[IncidentEventType]

type Erasable<Data, Field> = {
  [Key in keyof Data]: Key extends Field ? Data[Key] | null : Data[Key]
}
