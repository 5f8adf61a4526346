/** The values an incident is made of: enums, limits and the shapes of its fields. The one source of them in TypeScript. */
import { z } from 'zod'

export const statuses = ['new', 'in_progress', 'on_hold', 'resolved', 'closed'] as const
export const severities = ['critical', 'high', 'medium', 'low'] as const
export const sources = ['operator', 'monitoring', 'partner'] as const

export type Status = (typeof statuses)[number]
export type Severity = (typeof severities)[number]
export type Source = (typeof sources)[number]

/** Lengths are in UTF-16 code units, as a JavaScript string counts them. */
export const limits = {
  titleLength: 200,
  descriptionLength: 10_000,
  /** Reasons and notes. */
  remarkLength: 4_000,
  /** External key, assignee, origin, origin reference and a label's value. */
  nameLength: 255,
  labelKeyLength: 63,
  labels: 32,
  /** So that the cost of loading an incident, and with it of a command, has a bound. */
  eventsPerIncident: 10_000,
  /** How far ahead of our clock a reporter's clock may be. */
  occurredAheadMs: 5 * 60 * 1_000,
} as const

export type IncidentId = string & z.$brand<'IncidentId'>
/** Lower-case UUID of any version: v7 for most, v5 where the identity is derived. */
export const incidentId = z
  .string()
  .regex(/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/, 'must be a UUID')
  .transform((value) => value.toLowerCase())
  .brand<'IncidentId'>()

/** A moment, ISO 8601 in UTC with milliseconds: of equal length, so that comparing the strings compares the moments. */
export type Instant = string & z.$brand<'Instant'>
export const instant = z.iso
  .datetime({
    offset: true,
    error: 'must be an ISO 8601 date and time with a zone, such as 2026-01-31T09:00:00Z',
  })
  .refine((value) => isInstant(value) || !Number.isNaN(Date.parse(value)), 'must be a time that exists')
  .transform((value) => (isInstant(value) ? value : new Date(value).toISOString()))
  .refine(
    (value) => isInstant(value) || /^(?!0000)\d{4}-/.test(value),
    'must lie between the years 1 and 9999',
  )
  .brand<'Instant'>()

/**
 * Whether it is an instant as we write it, and so as nearly all come in again. True of no other text, and not of every instant: the
 * last days of a month are not in every month, and those that are not decided here are looked up in the calendar.
 */
function isInstant(text: string): boolean {
  return /^(?!0000)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/.test(
    text,
  )
}

/** The instant of a count of milliseconds since the Unix epoch. */
export function instantOf(epochMs: number): Instant {
  return new Date(epochMs).toISOString() as Instant // toISOString has the form that the brand promises
}

/** Text that every store and every wire can carry: no NUL, no lone surrogate. */
function text(maximum: number, minimum = 0) {
  return z
    .string()
    .min(minimum, minimum === 1 ? 'must not be empty' : undefined)
    .max(maximum, `must have at most ${maximum} characters`)
    .refine((value) => value.isWellFormed(), 'must be well-formed Unicode: it has a lone surrogate')
    .refine((value) => !value.includes('\u0000'), 'must not contain NUL')
}

const notBlank = (value: string) => value.trim().length > 0

export const title = text(limits.titleLength, 1).refine(notBlank, 'must not be blank')
export const description = text(limits.descriptionLength, 1).refine(notBlank, 'must not be blank')
export const remark = text(limits.remarkLength, 1).refine(notBlank, 'must not be blank')
export const name = text(limits.nameLength, 1).refine(notBlank, 'must not be blank')
export const status = z.enum(statuses)
export const severity = z.enum(severities)
export const source = z.enum(sources)

const labelKeyRule = `a label's key must be 1 to ${limits.labelKeyLength} characters of a-z A-Z 0-9 _ . -`
const labelKey = z.string().regex(/^(?!__proto__$)[a-zA-Z0-9_.-]{1,63}$/)

export const labels = labelled(text(limits.nameLength), limits.labels)
/** A merge patch (RFC 7396) of labels: a value sets, null removes. */
export const labelsPatch = labelled(text(limits.nameLength).nullable(), 2 * limits.labels)
export type Labels = Readonly<Record<string, string>>

function labelled<Value extends z.ZodType>(value: Value, maximum: number) {
  const record = z
    .record(labelKey, value, { error: ({ code }) => (code === 'invalid_key' ? labelKeyRule : undefined) })
    .refine((entries) => Object.keys(entries).length <= maximum, `must have at most ${maximum} entries`)
  // z.record passes over an own `__proto__` in silence, and no part of a report may be lost so.
  return z.preprocess((input, context) => {
    if (typeof input === 'object' && input !== null && Object.hasOwn(input, '__proto__')) {
      context.addIssue({ code: 'custom', path: ['__proto__'], message: labelKeyRule })
    }
    return input
  }, record)
}

/** The description's first line that says something, cut to a title's length without splitting a character. */
export function titleFrom(text: string): string {
  const line = text.split(/\r?\n/).find(notBlank)?.trim() ?? text.trim()
  if (line.length <= limits.titleLength) return line
  return `${line.slice(0, limits.titleLength - 1).replace(/[\uD800-\uDBFF]$/, '')}…`
}
