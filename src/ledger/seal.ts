/**
 * Personal text as events keep it: each field as a salted commitment, which may be seen by all, and the texts themselves in one box
 * that a key opens. Without the key the commitments say nothing, and with one field's salt they prove that field and no other.
 *
 * commitment = SHA-256(salt ‖ value), the value as JSON in UTF-8. The salts are SHAKE256(seed), 32 bytes for each field in the order of
 * their names, so that one seed of 32 random bytes in the box stands for all of them, and to give one away gives away no other. Box =
 * nonce ‖ ciphertext ‖ tag of AES-256-GCM over seed ‖ JSON of the values; its associated data are the incident, the event, the key and the
 * commitments: it opens in its own place only, and only beside the commitments that it was sealed with, which therefore need not be made
 * again to be trusted.
 */
import { createCipheriv, createDecipheriv, hash, type KeyObject, timingSafeEqual } from 'node:crypto'
import { randomness } from './randomness.ts'

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
const saltBytes = 32

/** @param values JSON, by field; a value that is undefined is no field. @param dataKey 32 bytes, for AES-256. */
export function seal(
  values: Readonly<Record<string, unknown>>,
  context: SealContext,
  dataKey: KeyObject,
): Seal {
  const seed = randomness(seedBytes)
  const nonce = randomness(nonceBytes)
  const texts = textsOf(values)
  const salts = saltsOf(seed, texts.length)
  const commitments: Record<string, string> = {}
  texts.forEach(({ field, text }, place) => {
    commitments[field] = commitmentOf(saltAt(salts, place), text)
  })
  const encryption = createCipheriv(cipher, dataKey, nonce, { authTagLength: tagBytes })
  encryption.setAAD(associatedData(context, commitments))
  const plain = `{${texts.map(({ field, text }) => `${JSON.stringify(field)}:${text}`).join(',')}}`
  const encrypted = encryption.update(withText(seed, plain))
  encryption.final() // of this mode nothing is left over
  const box = Buffer.concat([nonce, encrypted, encryption.getAuthTag()])
  return { box: box.toString('base64'), commitments, key: context.keyId }
}

/** The values that were sealed. @throws BrokenSeal */
export function open(
  sealed: Seal,
  context: SealContext,
  dataKey: KeyObject,
): Readonly<Record<string, unknown>> {
  return unboxed(sealed, context, dataKey).values
}

/** What proves each field. @throws BrokenSeal */
export function disclosuresOf(
  sealed: Seal,
  context: SealContext,
  dataKey: KeyObject,
): Readonly<Record<string, Disclosure>> {
  const { seed, values } = unboxed(sealed, context, dataKey)
  const texts = textsOf(values)
  const salts = saltsOf(seed, texts.length)
  return Object.fromEntries(
    texts.map(({ field }, place) => {
      const disclosure = { salt: saltAt(salts, place).toString('base64url'), value: values[field] }
      const commitment = sealed.commitments[field]
      if (commitment === undefined || !proves(disclosure, commitment)) {
        throw new BrokenSeal(`${field} is not what was committed to`)
      }
      return [field, disclosure]
    }),
  )
}

/** Whether the disclosure is what the commitment was made of. */
export function proves({ salt, value }: Disclosure, commitment: string): boolean {
  const given = Buffer.from(commitment, 'base64url')
  const expected = Buffer.from(
    commitmentOf(Buffer.from(salt, 'base64url'), JSON.stringify(value)),
    'base64url',
  )
  return given.length === expected.length && timingSafeEqual(given, expected)
}

function unboxed({ commitments, box }: Seal, context: SealContext, dataKey: KeyObject) {
  const opened = decrypted(Buffer.from(box, 'base64'), associatedData(context, commitments), dataKey)
  const values: unknown = JSON.parse(opened.toString('utf8', seedBytes))
  if (typeof values !== 'object' || values === null) throw new BrokenSeal('the box holds no fields')
  return { seed: opened.subarray(0, seedBytes), values: values as Readonly<Record<string, unknown>> } // what JSON calls an object
}

function decrypted(box: Buffer, place: Buffer, dataKey: KeyObject): Buffer {
  if (box.length < nonceBytes + seedBytes + tagBytes) throw new BrokenSeal('the box is too short')
  const nonce = box.subarray(0, nonceBytes)
  const decryption = createDecipheriv(cipher, dataKey, nonce, { authTagLength: tagBytes })
  decryption.setAAD(place)
  decryption.setAuthTag(box.subarray(box.length - tagBytes))
  const opened = decryption.update(box.subarray(nonceBytes, box.length - tagBytes))
  try {
    decryption.final()
  } catch (cause) {
    throw new BrokenSeal('the box does not open', { cause })
  }
  return opened
}

/** Each value as JSON, in the order of the fields' names. */
function textsOf(values: Readonly<Record<string, unknown>>): { field: string; text: string }[] {
  const texts = []
  for (const field of Object.keys(values).sort()) {
    const text = JSON.stringify(values[field])
    if (text !== undefined) texts.push({ field, text })
  }
  return texts
}

/** In base64url. */
function commitmentOf(salt: Buffer, text: string): string {
  return hash('sha256', withText(salt, text), 'base64url')
}

/** One after the other. */
function saltsOf(seed: Buffer, fields: number): Buffer {
  const outputLength = Math.max(fields, 1) * saltBytes
  return Buffer.from(hash('shake256', seed, { outputEncoding: 'latin1', outputLength }), 'latin1')
}

function saltAt(salts: Buffer, place: number): Buffer {
  return salts.subarray(place * saltBytes, (place + 1) * saltBytes)
}

const workspace = Buffer.alloc(16_384)

/** The bytes, and then the text in UTF-8; good until this is called again. */
function withText(bytes: Buffer, text: string): Buffer {
  const most = bytes.length + 3 * text.length
  const target = most <= workspace.length ? workspace : Buffer.allocUnsafe(most)
  bytes.copy(target)
  return target.subarray(0, bytes.length + target.write(text, bytes.length))
}

/** A line for each part. No part has a line break in it: ids, names of fields and base64url. */
function associatedData(
  { incidentId, eventId, keyId }: SealContext,
  commitments: Readonly<Record<string, string>>,
): Buffer {
  let lines = `${incidentId}\n${eventId}\n${keyId}\n`
  for (const field of Object.keys(commitments).sort()) lines += `${field} ${commitments[field]}\n`
  return Buffer.from(lines)
}
