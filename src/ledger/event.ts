/** Events as the ledger keeps them: the domain's event in an envelope of who, why and where. */
import { z } from 'zod'
import type { AccessKeyEvent, AccessKeyId } from '../aggregates/access-key/index.ts'
import type { IncidentEvent, IncidentId, Instant } from '../aggregates/incident/index.ts'

export const actorKinds = [
  'access-key',
  'kafka',
  'telegram',
  'alertmanager',
  'pagerduty',
  'import',
  'system',
] as const

export const actor = z.strictObject({
  kind: z.enum(actorKinds),
  /** Public: a key's id, a chat's keyed hash; never a person's own name or number. */
  id: z.string().min(1).max(255),
  /** For people to read. */
  name: z.string().min(1).max(255),
})
export type Actor = z.output<typeof actor>

/** The mark that a request leaves in each event it caused, so that its repetition is known. */
export const mark = z.strictObject({
  /** UUIDv5 of the scope and the caller's key; never the caller's key itself. */
  key: z.uuid(),
  /** Keyed hash of what was asked, with the version of the secret it was made with: `1.<base64url>`. */
  requestHash: z.string().regex(/^\d+\.[A-Za-z0-9_-]{43}$/),
})
export type Mark = z.output<typeof mark>

/** An instant in the one form in which we write it. The first 28 days are in every month; later ones are looked up. */
const writtenInstant = z
  .string()
  .regex(/^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/)
  .refine((value) => value.slice(8, 10) <= '28' || new Date(value).toISOString() === value)
  .transform((value) => value as Instant) // that is the form that the brand promises

export const eventMetadata = z.strictObject({
  $causationId: z.string().min(1).max(255).optional(),
  $correlationId: z.string().min(1).max(255),
  actor,
  at: writtenInstant,
  idempotency: mark.optional(),
  recordedAt: writtenInstant,
  schemaVersion: z.int().positive(),
  traceparent: z.string().max(255).optional(),
})
export type EventMetadata = z.output<typeof eventMetadata>

/** As it is read: the name of who did it may be erased. */
export type RecordMetadata = Omit<EventMetadata, 'actor'> & { readonly actor: RecordedActor }
export type RecordedActor = Omit<Actor, 'name'> & { readonly name: string | null }

/** What personal text became of: base64url of 32 bytes for each field, and the box that the key opens. See `seal.ts`. */
const seal = z.strictObject({
  key: z.string().max(64),
  commitments: z.custom<Readonly<Record<string, string>>>(
    areCommitments,
    'must give 43 characters for each field',
  ),
  box: z.string(),
})

/** By hand, for it is asked of every event that is read. */
function areCommitments(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every(
    (commitment) => typeof commitment === 'string' && commitment.length === 43,
  )
}

/** As it is stored. */
export const storedMetadata = eventMetadata.extend({ actor: actor.omit({ name: true }), sealed: seal })

/** A place in the event store: strictly increasing along $all. Commits order; both are needed to resume. */
export interface LedgerPosition {
  readonly commit: bigint
  readonly prepare: bigint
}

interface Envelope {
  /** The event's own id, a UUID. */
  readonly id: string
  readonly stream: string
  /** Of the event within its stream, dense from 0. */
  readonly revision: number
  readonly position: LedgerPosition
}

/** An event of an incident, decoded, upcast and validated. */
export interface IncidentRecord extends Envelope {
  readonly kind: 'incident'
  readonly incidentId: IncidentId
  readonly event: IncidentEvent
  readonly metadata: RecordMetadata
  /** Under which its personal text is sealed. */
  readonly keyId: string
  /** Of an erasure: the keys that are gone with it. */
  readonly erasedKeyIds?: readonly string[]
}

/** An event of an access key, decoded and validated. */
export interface KeyRecord extends Envelope {
  readonly kind: 'access-key'
  readonly keyId: AccessKeyId
  readonly event: AccessKeyEvent
  readonly metadata: EventMetadata
}

/** An event on a ledger stream that this version cannot read. It has its index, and is not projected. */
export interface UnreadableRecord extends Envelope {
  readonly kind: 'unreadable'
  readonly type: string
  readonly reason: string
}

export type LedgerRecord = IncidentRecord | KeyRecord | UnreadableRecord
