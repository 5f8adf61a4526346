/** HTTP message signatures (RFC 9421) with hmac-sha256, as a verifier needs them. Pure: no clock, no keys, no memory. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { type InnerList, isInnerList, parseDictionary, serializeInnerList } from 'structured-headers'

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
const algorithm = 'hmac-sha256'
const nonceLength = { least: 16, most: 128 }
const knownParameters = new Set(['created', 'expires', 'nonce', 'alg', 'keyid', 'tag'])
const derivedComponents = new Set([
  '@method',
  '@target-uri',
  '@authority',
  '@scheme',
  '@request-target',
  '@path',
  '@query',
])

/** The signatures that a request carries; none where it is unsigned. @throws SignatureError */
export function signaturesOf(headers: SignedMessage['headers']): CandidateSignature[] {
  const input = headers['signature-input']
  const values = headers.signature
  if (input === undefined && values === undefined) return []
  if (input === undefined || values === undefined) {
    throw new SignatureError('Signature-Input and Signature belong together: one of them is missing')
  }
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
  const required = [
    '@method',
    '@target-uri',
    ...(hasBody ? ['content-type', 'content-digest'] : []),
    ...(headers['idempotency-key'] === undefined ? [] : ['idempotency-key']),
    ...(headers['if-match'] === undefined ? [] : ['if-match']),
  ]
  return required.find((component) => !components.includes(component))
}

/** Whether the signature was made of this message with one of the keys. @throws SignatureError where it covers what is not there. */
export function isSignedWith(
  candidate: CandidateSignature,
  message: SignedMessage,
  keys: readonly (string | Uint8Array)[],
): boolean {
  const bases = message.targetUris.map((uri) => signatureBase(candidate, message, uri))
  return keys.some((key) =>
    bases.some((base) => {
      const expected = createHmac('sha256', key).update(base).digest()
      return expected.length === candidate.signature.length && timingSafeEqual(expected, candidate.signature)
    }),
  )
}

/** The text that is signed (RFC 9421, section 2.5). */
export function signatureBase(
  { components, parameters }: Pick<CandidateSignature, 'components' | 'parameters'>,
  message: SignedMessage,
  targetUri: string,
): string {
  const lines = components.map((name) => `"${name}": ${componentValue(name, message, targetUri)}`)
  return [...lines, `"@signature-params": ${parameters}`].join('\n')
}

function candidateOf(label: string, member: InnerList, signature: Buffer): CandidateSignature {
  const [items, parameters] = member
  const refuse = (what: string) => new SignatureError(`Signature-Input: ${label}: ${what}`)
  const components = items.map(([name, { size }]) => {
    if (typeof name !== 'string' || name !== name.toLowerCase())
      throw refuse('a component is a lower-case name in quotes')
    if (size > 0) throw refuse(`parameters of components are not taken (${JSON.stringify(name)})`)
    if (name.startsWith('@') && !derivedComponents.has(name))
      throw refuse(`the component ${name} is not taken`)
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
  if (typeof nonce !== 'string' || nonce.length < nonceLength.least || nonce.length > nonceLength.most) {
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
      const value = headers[name]
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
