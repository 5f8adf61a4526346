/** What an access key is made of. */
import { z } from 'zod'

/** read: current and past state. write: commands. audit: who did what, exports. admin: access keys and erasure. */
export const scopes = ['read', 'write', 'audit', 'admin'] as const
export type Scope = (typeof scopes)[number]

const nameLength = 200

export type AccessKeyId = string & z.$brand<'AccessKeyId'>
/** Lower-case UUID. Public: it is the actor of events and the scope of idempotency keys. */
export const accessKeyId = z
  .string()
  .regex(/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/, 'must be a UUID')
  .transform((value) => value.toLowerCase())
  .brand<'AccessKeyId'>()

/** What people call the key. It stays in the ledger for ever, so it should name a system, not a person. */
export const keyName = z
  .string()
  .min(1, 'must not be empty')
  .max(nameLength, `must have at most ${nameLength} characters`)
  .refine((value) => value.trim().length > 0, 'must not be blank')
  .refine(
    (value) => value.isWellFormed() && !value.includes('\u0000'),
    'must be well-formed Unicode without NUL',
  )

/** In the one order that there is, each once. */
export const scopeSet = z
  .array(z.enum(scopes))
  .min(1, 'must have at least one scope')
  .max(scopes.length, 'must name each scope once')
  .refine((given) => new Set(given).size === given.length, 'must name each scope once')
  .transform((given) => scopes.filter((scope) => given.includes(scope)))

/** SHA-256 of the key in lower-case hex. */
export const digest = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits')

/** A moment in the form of `Date.toISOString`: of equal length, so that comparing the strings compares the moments. */
export const moment = z.iso
  .datetime({
    offset: true,
    error: 'must be an ISO 8601 date and time with a zone, such as 2026-01-31T09:00:00Z',
  })
  .refine((value) => !Number.isNaN(Date.parse(value)), 'must be a time that exists')
  .transform((value) => new Date(value).toISOString())
  .refine((value) => /^(?!0000)\d{4}-/.test(value), 'must lie between the years 1 and 9999')
