/** HTTP message signatures (RFC 9421) with hmac-sha256, as a verifier needs them. Pure: no clock, no keys, no memory. */
import { timingSafeEqual } from 'node:crypto'
import { type InnerList, isInnerList, parseDictionary, serializeInnerList } from 'structured-headers'
import { canonicalSignature } from './canonical-signature.ts'
import { type HmacKey, hmacKey, writeHmac } from './hmac.ts'
import { algorithm, hasNonceLength, isTaken, nonceLength } from './signature-terms.ts'

/** What of a request can be signed. */
export interface SignedMessage {
  readonly method: string
  /** The absolute addresses that the request may have been sent to: behind a proxy there is more than one. */
  readonly targetUris: readonly string[]
  /** By lower-case name; several lines of one name joined by a comma and a space. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly hasBody: boolean
}

/** One signature as a request carries it, not verified yet. */
export interface CandidateSignature {
  readonly keyId: string
  /** Seconds since the Unix epoch. */
  readonly createdS: number
  readonly expiresS: number | undefined
  readonly nonce: string
  readonly components: readonly string[]
  /** The line that ends the signature base. */
  readonly parameters: string
  readonly signature: Buffer
}

/** Why the signatures of a request are not taken; the message is for the caller. */
export class SignatureError extends Error {
  override readonly name = 'SignatureError'
}

export const mostSignatures = 4
const knownParameters = new Set(['created', 'expires', 'nonce', 'alg', 'keyid', 'tag'])
const expected = Buffer.alloc(32)

/** The signatures that a request carries; none where it is unsigned. @throws SignatureError */
export function signaturesOf(headers: SignedMessage['headers']): CandidateSignature[] {
  const input = headers['signature-input']
  const values = headers.signature
  if (input === undefined && values === undefined) return []
  if (input === undefined || values === undefined) {
    throw new SignatureError('Signature-Input and Signature belong together: one of them is missing')
  }
  const canonical = canonicalSignature(input, values)
  return canonical ? [canonical] : parsedSignatures(input, values)
}

/** The signatures of any two dictionaries (RFC 8941). @throws SignatureError */
export function parsedSignatures(input: string, values: string): CandidateSignature[] {
  const inputs = dictionaryOf('Signature-Input', input)
  const signatures = dictionaryOf('Signature', values)
  if (inputs.size === 0) throw new SignatureError('Signature-Input names no signature')
  if (inputs.size > mostSignatures)
    throw new SignatureError(`a request has at most ${mostSignatures} signatures`)
  return [...inputs].map(([label, member]) => {
    if (!isInnerList(member))
      throw new SignatureError(`Signature-Input: ${label} must be a list of components`)
    const [bytes] = signatures.get(label) ?? []
    if (!(bytes instanceof ArrayBuffer))
      throw new SignatureError(`Signature: ${label} must be bytes in base64 between colons`)
    return candidateOf(label, member, Buffer.from(bytes))
  })
}

/**
 * What a signature of this message must cover and does not; undefined where nothing is missing. Whatever changes what the request
 * means is to be covered.
 */
export function missingComponent(
  { components }: CandidateSignature,
  { headers, hasBody }: SignedMessage,
): string | undefined {
  const lacks = (component: string) => !components.includes(component)
  if (lacks('@method')) return '@method'
  if (lacks('@target-uri')) return '@target-uri'
  if (hasBody && lacks('content-type')) return 'content-type'
  if (hasBody && lacks('content-digest')) return 'content-digest'
  if (headers['idempotency-key'] !== undefined && lacks('idempotency-key')) return 'idempotency-key'
  if (headers['if-match'] !== undefined && lacks('if-match')) return 'if-match'
  return undefined
}

/** Whether the signature was made of this message with one of the keys. @throws SignatureError where it covers what is not there. */
export function isSignedWith(
  candidate: CandidateSignature,
  message: SignedMessage,
  keys: readonly (string | HmacKey)[],
): boolean {
  for (const key of keys) {
    const prepared = typeof key === 'string' ? hmacKey(key) : key
    for (const uri of message.targetUris) {
      writeHmac(prepared, signatureBase(candidate, message, uri), expected)
      if (candidate.signature.length === expected.length && timingSafeEqual(expected, candidate.signature))
        return true
    }
  }
  return false
}

/** The text that is signed (RFC 9421, section 2.5). */
export function signatureBase(
  { components, parameters }: Pick<CandidateSignature, 'components' | 'parameters'>,
  message: SignedMessage,
  targetUri: string,
): string {
  let base = ''
  for (const name of components) base += `"${name}": ${componentValue(name, message, targetUri)}\n`
  return `${base}"@signature-params": ${parameters}`
}

function candidateOf(label: string, member: InnerList, signature: Buffer): CandidateSignature {
  const [items, parameters] = member
  const refuse = (what: string) => new SignatureError(`Signature-Input: ${label}: ${what}`)
  const components = items.map(([name, { size }]) => {
    if (typeof name !== 'string' || name !== name.toLowerCase())
      throw refuse('a component is a lower-case name in quotes')
    if (size > 0) throw refuse(`parameters of components are not taken (${JSON.stringify(name)})`)
    if (!isTaken(name)) throw refuse(`the component ${name} is not taken`)
    return name
  })
  if (new Set(components).size !== components.length) throw refuse('a component stands twice')
  const unknown = [...parameters.keys()].find((name) => !knownParameters.has(name))
  if (unknown !== undefined) throw refuse(`the parameter ${unknown} is not known here`)

  const keyId = parameters.get('keyid')
  const created = parameters.get('created')
  const expires = parameters.get('expires')
  const nonce = parameters.get('nonce')
  const alg = parameters.get('alg')
  if (typeof keyId !== 'string') throw refuse('keyid must be the id of an access key, in quotes')
  if (!isWhole(created)) throw refuse('created must be a whole number of seconds since 1970')
  if (expires !== undefined && !isWhole(expires))
    throw refuse('expires must be a whole number of seconds since 1970')
  if (typeof nonce !== 'string' || !hasNonceLength(nonce)) {
    throw refuse(`nonce must have ${nonceLength.least} to ${nonceLength.most} characters, never used before`)
  }
  if (alg !== undefined && alg !== algorithm) throw refuse(`alg must be ${algorithm}`)
  return {
    keyId,
    createdS: created,
    expiresS: expires,
    nonce,
    components,
    parameters: serializeInnerList(member),
    signature,
  }
}

function componentValue(name: string, { method, headers }: SignedMessage, targetUri: string): string {
  switch (name) {
    case '@method':
      return method
    case '@target-uri':
      return targetUri
    case '@authority':
      return new URL(targetUri).host
    case '@scheme':
      return new URL(targetUri).protocol.slice(0, -1)
    case '@request-target':
      return targetUri.slice(new URL(targetUri).origin.length)
    case '@path':
      return new URL(targetUri).pathname
    case '@query':
      return new URL(targetUri).search || '?'
    default: {
      const value = Object.hasOwn(headers, name) ? headers[name] : undefined
      if (value === undefined)
        throw new SignatureError(`the signature covers ${name}, which the request does not have`)
      return value.trim()
    }
  }
}

function dictionaryOf(header: string, value: string): ReturnType<typeof parseDictionary> {
  try {
    return parseDictionary(value)
  } catch {
    throw new SignatureError(`${header} is no dictionary of structured fields (RFC 8941)`)
  }
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
