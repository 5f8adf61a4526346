/**
 * Personal text as events keep it: each field as a salted commitment, which may be seen by all, and the texts themselves in one box
 * that a key opens. Without the key the commitments say nothing, and with one field's salt they prove that field and no other.
 *
 * commitment = SHA-256(salt ‖ value), the value as JSON in UTF-8. A field's salt is HMAC-SHA-256(seed, field's name), so that one seed
 * in the box stands for all of them, and to give one salt away gives away no other. Box = nonce ‖ ciphertext ‖ tag of AES-256-GCM over
 * seed ‖ JSON of the values; its associated data name the incident, the event and the key: it opens in its own place only.
 */
import { createCipheriv, createDecipheriv, createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto'

/** Whose text it is, and under which key. */
export interface SealContext {
  readonly incidentId: string
  readonly eventId: string
  readonly keyId: string
}

/** As it stands in the event. Commitments are 32 bytes, in base64url; the box is in base64. */
export interface Seal {
  readonly key: string
  readonly commitments: Readonly<Record<string, string>>
  readonly box: string
}

/** What proves one field to whoever has the commitment: 32 bytes in base64url, and the value. */
export interface Disclosure {
  readonly salt: string
  readonly value: unknown
}

/** The box does not open, or does not hold what was committed to: the event, or its key, was altered. */
export class BrokenSeal extends Error {
  override readonly name = 'BrokenSeal'
}

const cipher = 'aes-256-gcm'
export const dataKeyBytes = 32
const nonceBytes = 12
const tagBytes = 16
const seedBytes = 32

/** @param values JSON, by field; a value that is undefined is no field. @param dataKey 32 bytes. */
export function seal(values: Readonly<Record<string, unknown>>, context: SealContext, dataKey: Buffer): Seal {
  const seed = randomBytes(seedBytes)
  const commitments: Record<string, string> = {}
  for (const [field, value] of Object.entries(values)) {
    if (value !== undefined)
      commitments[field] = commitmentOf(saltOf(seed, field), value).toString('base64url')
  }
  const nonce = randomBytes(nonceBytes)
  const encryption = createCipheriv(cipher, dataKey, nonce, { authTagLength: tagBytes })
  encryption.setAAD(associatedData(context))
  const box = Buffer.concat([
    nonce,
    encryption.update(seed),
    encryption.update(JSON.stringify(values), 'utf8'),
    encryption.final(),
    encryption.getAuthTag(),
  ])
  return { key: context.keyId, commitments, box: box.toString('base64') }
}

/** The values that were sealed. @throws BrokenSeal */
export function open(sealed: Seal, context: SealContext, dataKey: Buffer): Readonly<Record<string, unknown>> {
  return unboxed(sealed, context, dataKey).values
}

/** What proves each field. @throws BrokenSeal */
export function disclosuresOf(
  sealed: Seal,
  context: SealContext,
  dataKey: Buffer,
): Readonly<Record<string, Disclosure>> {
  const { seed, values } = unboxed(sealed, context, dataKey)
  return Object.fromEntries(
    Object.entries(values).map(([field, value]) => [
      field,
      { salt: saltOf(seed, field).toString('base64url'), value },
    ]),
  )
}

/** Whether the disclosure is what the commitment was made of. */
export function proves({ salt, value }: Disclosure, commitment: string): boolean {
  const given = Buffer.from(commitment, 'base64url')
  const expected = commitmentOf(Buffer.from(salt, 'base64url'), value)
  return given.length === expected.length && timingSafeEqual(given, expected)
}

function unboxed({ commitments, box }: Seal, context: SealContext, dataKey: Buffer) {
  const opened = decrypted(Buffer.from(box, 'base64'), context, dataKey)
  const seed = opened.subarray(0, seedBytes)
  const values: unknown = JSON.parse(opened.toString('utf8', seedBytes))
  if (typeof values !== 'object' || values === null) throw new BrokenSeal('the box holds no fields')
  const fields = Object.entries(values)
  if (fields.length !== Object.keys(commitments).length) {
    throw new BrokenSeal('the box does not hold the fields that were committed to')
  }
  for (const [field, value] of fields) {
    const commitment = commitments[field]
    const disclosure = { salt: saltOf(seed, field).toString('base64url'), value }
    if (commitment === undefined || !proves(disclosure, commitment)) {
      throw new BrokenSeal(`${field} is not what was committed to`)
    }
  }
  return { seed, values: Object.fromEntries(fields) }
}

function decrypted(box: Buffer, context: SealContext, dataKey: Buffer): Buffer {
  if (box.length < nonceBytes + seedBytes + tagBytes) throw new BrokenSeal('the box is too short')
  const decryption = createDecipheriv(cipher, dataKey, box.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  })
  decryption.setAAD(associatedData(context))
  decryption.setAuthTag(box.subarray(box.length - tagBytes))
  try {
    return Buffer.concat([
      decryption.update(box.subarray(nonceBytes, box.length - tagBytes)),
      decryption.final(),
    ])
  } catch (cause) {
    throw new BrokenSeal('the box does not open', { cause })
  }
}

function commitmentOf(salt: Uint8Array, value: unknown): Buffer {
  return hash('sha256', Buffer.concat([salt, Buffer.from(JSON.stringify(value))]), 'buffer')
}

function saltOf(seed: Buffer, field: string): Buffer {
  return createHmac('sha256', seed).update(field).digest()
}

function associatedData({ incidentId, eventId, keyId }: SealContext): Buffer {
  return Buffer.from(JSON.stringify([incidentId, eventId, keyId]))
}
