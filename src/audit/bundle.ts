/**
 * An incident with all that proves it, in one JSON document: its entries, what they lead to in a signed checkpoint, and the texts that
 * were committed to. It is verified with the log's public key alone.
 */
import { z } from 'zod'
import { type Disclosure, proves } from '../ledger/seal.ts'
import type { TreeCheckpoint } from './checkpoint.ts'
import { eventName, type Finding } from './finding.ts'
import { isObject, type LogEntry, readEntry } from './log-entry.ts'
import { type Hash, hashBytes, hashOfLeaf, provesInclusion } from './merkle.ts'
import type { NoteVerifier } from './signed-note.ts'
import type { TlogProof } from './tlog-proof.ts'
import { isTrusted, trustedNote } from './trusted-note.ts'

export const bundleFormat = 'incident-ledger/bundle@1'

const hashText = z.string().refine((text) => {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === hashBytes && bytes.toString('base64') === text
}, 'must be a hash: 32 bytes in base64')

const saltText = z
  .string()
  .refine(
    (text) => Buffer.from(text, 'base64url').toString('base64url') === text && text.length > 0,
    'must be bytes in base64url',
  )

const disclosureSchema = z.strictObject({ salt: saltText, value: z.unknown() })

/** Strict: a field that nobody verifies would be taken for one that is proved. Another form has another name. */
export const bundleSchema = z.strictObject({
  format: z.literal(bundleFormat),
  incidentId: z.string(),
  note: z.string(),
  events: z
    .array(
      z.strictObject({
        index: z.int().min(0),
        entry: z.string(),
        proof: z.array(hashText),
        disclosures: z.record(z.string(), disclosureSchema),
      }),
    )
    .min(1),
})
export type Bundle = z.output<typeof bundleSchema>

/** A field of personal text: what it says, that its text was not given, or that nobody can give it any more. */
export type SealedField =
  | { readonly state: 'disclosed'; readonly value: unknown }
  | { readonly state: 'sealed' }
  | { readonly state: 'erased' }

export interface VerifiedEvent extends LogEntry {
  readonly index: number
  readonly fields: Readonly<Record<string, SealedField>>
}

export interface BundleVerdict {
  readonly incidentId?: string
  readonly checkpoint?: TreeCheckpoint
  readonly signedBy: readonly NoteVerifier[]
  /** Those that could be read, in their order. Nothing of them is proved where there are findings. */
  readonly events: readonly VerifiedEvent[]
  /** None: the bundle is what the log holds of this incident under its note. */
  readonly findings: readonly Finding[]
}

/**
 * Verifies the text of a bundle. That the incident has no later events under that note is not proved: a bundle whose last ones were left
 * out verifies, too.
 */
export function verifyBundle(text: string, verifiers: readonly NoteVerifier[]): BundleVerdict {
  const bundle = readBundle(text)
  if ('code' in bundle) return { signedBy: [], events: [], findings: [bundle] }
  const { incidentId, note, events } = bundle
  const read = trustedNote(note, verifiers)
  if (!isTrusted(read)) return { incidentId, signedBy: [], events: [], findings: [read] }
  const { checkpoint, signedBy } = read
  const stream = `incident-${incidentId}`
  const seen = new Map<string, number>()
  const findings: Finding[] = []
  const entries: (LogEntry & { readonly index: number; readonly disclosures: Disclosures })[] = []
  let after = -1

  for (const [place, { index, entry: entryText, proof, disclosures }] of events.entries()) {
    const leaf = hashOfLeaf(Buffer.from(entryText))
    const entry = readEntry(entryText)
    const where = { index, ...(entry && { stream: entry.stream, revision: entry.revision }) }
    const name = eventName(index, entry)
    const find = (code: Finding['code'], message: string) => findings.push({ code, message, ...where })

    if (!provesInclusion(leaf, index, checkpoint.size, hashesOf(proof), checkpoint.root)) {
      find(
        'inclusion',
        `${name}: its entry (leaf hash ${leaf.toString('base64')}) and its proof do not lead to the root ${checkpoint.root.toString('base64')} of the note with ${checkpoint.size} events`,
      )
    }
    if (index <= after) find('order', `${name} stands after event ${after}, which is later in the log`)
    after = Math.max(after, index)
    if (entry === undefined) {
      find('malformed', `${name}: its entry is not canonical JSON of an event`)
      continue
    }
    if (entry.stream !== stream) find('entry', `${name} is not of the bundle's incident ${incidentId}`)
    if (entry.revision !== place) find('revision', `${name} stands where revision ${place} should`)
    const earlier = seen.get(entry.id)
    if (earlier !== undefined) find('doubled', `${name} has the event id ${entry.id} of event ${earlier}`)
    seen.set(entry.id, index)
    for (const reason of unproved(entry, disclosures)) find('disclosure', `${name}: ${reason}`)
    entries.push({ ...entry, index, disclosures })
  }

  const erased = new Set(entries.flatMap(erasedKeys))
  const verified = entries.map(({ disclosures, ...entry }) => ({
    ...entry,
    fields: fieldsOf(entry, disclosures, erased),
  }))
  return { incidentId, checkpoint, signedBy, events: verified, findings }
}

/** The proofs of a bundle's events as files of the C2SP format, for tools of other makers; each with the entry that it is of. */
export function proofsOf({ note, events }: Bundle): (TlogProof & { readonly entry: string })[] {
  return events.map(({ index, proof, entry }) => ({ index, proof: hashesOf(proof), note, entry }))
}

/** @returns what is wrong with its form, where it is no bundle. */
export function readBundle(text: string): Bundle | Finding {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    return { code: 'malformed', message: 'the bundle is not JSON' }
  }
  const read = bundleSchema.safeParse(document)
  if (read.success) return read.data
  const [issue] = read.error.issues
  return {
    code: 'malformed',
    message: `the bundle is not of the form ${bundleFormat}: ${issue?.path.join('.') || 'it'}: ${issue?.message}`,
  }
}

type Disclosures = Readonly<Record<string, z.output<typeof disclosureSchema>>>

/** Why disclosures are not what was committed to. */
function unproved(entry: LogEntry, disclosures: Disclosures): string[] {
  const commitments = sealOf(entry)?.commitments ?? {}
  return Object.entries(disclosures).flatMap(([field, { salt, value }]) => {
    const commitment = Object.hasOwn(commitments, field) ? commitments[field] : undefined
    if (typeof commitment !== 'string')
      return [`${field} is disclosed, but the event commits to no such text`]
    const disclosure: Disclosure = { salt, value }
    return proves(disclosure, commitment)
      ? []
      : [`the text of ${field} is not the one that the event commits to (${commitment})`]
  })
}

function fieldsOf(
  entry: LogEntry,
  disclosures: Disclosures,
  erased: ReadonlySet<string>,
): Record<string, SealedField> {
  const seal = sealOf(entry)
  if (seal === undefined) return {}
  const undisclosed: SealedField = { state: erased.has(seal.key) ? 'erased' : 'sealed' }
  return Object.fromEntries(
    Object.keys(seal.commitments).map((field): [string, SealedField] => {
      const disclosure = Object.hasOwn(disclosures, field) ? disclosures[field] : undefined
      return [field, disclosure ? { state: 'disclosed', value: disclosure.value } : undisclosed]
    }),
  )
}

function sealOf({ metadata }: LogEntry) {
  if (!isObject(metadata) || !isObject(metadata.sealed)) return undefined
  const { key, commitments } = metadata.sealed
  return typeof key === 'string' && isObject(commitments) ? { key, commitments } : undefined
}

/** The keys that an event of the incident says are gone. */
function erasedKeys({ type, data }: LogEntry): string[] {
  if (type !== 'IncidentPersonalDataErased' || !isObject(data) || !Array.isArray(data.keyIds)) return []
  return data.keyIds.filter((id) => typeof id === 'string')
}

function hashesOf(proof: readonly string[]): Hash[] {
  return proof.map((hash) => Buffer.from(hash, 'base64'))
}
