import { z } from 'zod'
import {
  type Instant,
  instantOf,
  name,
  type Severity,
  type Status,
  titleFrom,
} from '../../aggregates/incident/index.ts'

/** What a row says, in our terms. Times are `DD-MM-YYYY HH:MM`, with seconds if there are any, and taken as UTC. */
export const update = z
  .object({
    number: name,
    incident_state: z.string({ error: 'has no value' }).transform((text, context) => {
      const status = statusOf(text)
      if (status) return { state: text, status }
      context.addIssue(`is "${text}", which is no state of an incident`)
      return z.NEVER
    }),
    sys_updated_at: z.string({ error: 'has no value' }).transform(toInstant),
    sys_updated_by: name.optional(),
    opened_at: z.string().transform(toInstant).optional(),
    opened_by: name.optional(),
    priority: z
      .string()
      .transform((text, context) => {
        const severity = severities[text.split(' - ')[0] ?? '']
        if (severity) return severity
        context.addIssue(`is "${text}", which is none of 1 to 4`)
        return z.NEVER
      })
      .optional(),
    assignment_group: name.optional(),
    category: name.optional(),
    subcategory: name.optional(),
    u_symptom: name.optional(),
    contact_type: name.optional(),
    reassignment_count: z
      .stringFormat('count', /^\d{1,9}$/, { error: 'is no count' })
      .transform(Number)
      .optional(),
    reopen_count: z
      .stringFormat('count', /^\d{1,9}$/, { error: 'is no count' })
      .transform(Number)
      .optional(),
  })
  .transform((row) => ({
    ...row.incident_state,
    at: row.sys_updated_at,
    by: row.sys_updated_by,
    openedAt: row.opened_at,
    openedBy: row.opened_by,
    severity: row.priority,
    assignee: row.assignment_group ?? null,
    ...composed(row),
    /** The source's own running counts. */
    reassignments: row.reassignment_count,
    reopenings: row.reopen_count,
  }))

export type Update = z.output<typeof update>
export type Column = keyof z.input<typeof update>
/** All of these the header must have. Any may be without a value, but for the number, the state and the time. */
export const columns = Object.keys(update.in.shape) as Column[] // the keys of the shape are those of its input

const severities: Readonly<Partial<Record<string, Severity>>> = {
  1: 'critical',
  2: 'high',
  3: 'medium',
  4: 'low',
}

function statusOf(state: string): Status | undefined {
  switch (state) {
    case 'New':
      return 'new'
    case 'Active':
      return 'in_progress'
    case 'Resolved':
      return 'resolved'
    case 'Closed':
      return 'closed'
    default:
      return state.startsWith('Awaiting ') ? 'on_hold' : undefined
  }
}

function toInstant(text: string, context: z.RefinementCtx): Instant {
  const [, day, month, year, clock] = /^(\d\d)-(\d\d)-(\d{4}) (\d\d:\d\d(?::\d\d)?)$/.exec(text) ?? []
  const date = `${year}-${month}-${day}`
  const epochMs = Date.parse(`${date}T${clock}Z`)
  // Date.parse takes the 31st of every month for the next one's first.
  if (!Number.isNaN(epochMs) && instantOf(epochMs).startsWith(date)) return instantOf(epochMs)
  context.addIssue(`is "${text}", which is no time DD-MM-YYYY HH:MM`)
  return z.NEVER
}

interface Texts {
  readonly number: string
  readonly category?: string | undefined
  readonly subcategory?: string | undefined
  readonly u_symptom?: string | undefined
  readonly contact_type?: string | undefined
}

/** A title and a description out of what the source classifies its incidents by, for it has no text of its own. */
function composed({ number, category, subcategory, u_symptom: symptom, contact_type: contactType }: Texts) {
  const lines = [
    category && `Category: ${category}`,
    subcategory && `Subcategory: ${subcategory}`,
    symptom && `Symptom: ${symptom}`,
    contactType && `Contact type: ${contactType}`,
  ].filter((line) => line !== undefined)
  const subject = [category, subcategory].filter((part) => part !== undefined).join(', ')
  return {
    title: titleFrom([subject, symptom].filter(Boolean).join(': ') || number),
    description: lines.join('\n') || number,
  }
}
