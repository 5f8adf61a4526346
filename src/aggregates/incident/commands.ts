/** What one can ask of an incident. `at` and `recordedAt` come in with the command: the domain has no clock. */
import { z } from 'zod'
import type { Occurrence } from './events.ts'
import * as values from './values.ts'

/** The body of a report, as the REST API, Kafka and the imports take it. Who brought it is not the body's to say. */
export const reportBody = z.strictObject({
  title: values.title.optional(),
  description: values.description,
  severity: values.severity.default('medium'),
  source: values.source,
  externalKey: values.name.optional(),
  assignee: values.name.nullable().default(null),
  labels: values.labels.default({}),
  occurredAt: values.instant.optional(),
})

export const statusBody = z.strictObject({
  status: values.status,
  reason: values.remark.optional(),
})

/** A merge patch: what is absent stays, null clears or removes. At least one member. */
export const revisionBody = z
  .strictObject({
    title: values.title.optional(),
    description: values.description.optional(),
    severity: values.severity.optional(),
    assignee: values.name.nullable().optional(),
    labels: values.labelsPatch.optional(),
  })
  .refine(
    (body) => Object.values(body).some((value) => value !== undefined),
    'must name at least one field to change',
  )

/** Why, for the record: what stands here is not erased with the rest. */
export const erasureBody = z.strictObject({ reason: values.remark })

export const noteBody = z.strictObject({ text: values.remark })

export type ReportBody = z.output<typeof reportBody>
export type StatusBody = z.output<typeof statusBody>
export type RevisionBody = z.output<typeof revisionBody>
export type ErasureBody = z.output<typeof erasureBody>

export type IncidentCommand = Occurrence &
  (
    | {
        readonly type: 'Report'
        readonly id: values.IncidentId
        readonly body: ReportBody
        readonly origin: string
        readonly originRef?: string | undefined
      }
    | { readonly type: 'ChangeStatus'; readonly body: StatusBody }
    | { readonly type: 'Revise'; readonly body: RevisionBody }
    | { readonly type: 'AddNote'; readonly noteId: string; readonly text: string }
    | { readonly type: 'ErasePersonalData'; readonly body: ErasureBody }
  )

/** A command before it is given its time. */
export type TimelessCommand = IncidentCommand extends infer Command
  ? Command extends IncidentCommand
    ? Omit<Command, keyof Occurrence>
    : never
  : never
