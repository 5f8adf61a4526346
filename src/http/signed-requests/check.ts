import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { signingSecretsOf } from '../../ledger/access-key-register.ts'
import type { Keyring } from '../../ledger/ledger.ts'
import type { AccessKey } from '../access-key.ts'
import type { AccessKeys } from '../access-keys.ts'
import { HttpProblem } from '../problems.ts'
import { digestMatches } from './content-digest.ts'
import { type HmacKey, hmacKey } from './hmac.ts'
import { aheadMs, longestKeptMs, marginMs, type Nonces, windowMs } from './nonces.ts'
import {
  type CandidateSignature,
  isSignedWith,
  missingComponent,
  SignatureError,
  type SignedMessage,
  signaturesOf,
} from './signature.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** What a signed request says that the bytes of its body are; undefined where it is unsigned or has none. */
    signedDigest?: string | undefined
  }
}

const windowS = windowMs / 1_000
const keptSecrets = 1_000

export interface SignedRequests {
  /**
   * The access key under which the request is signed, at once where nobody need be asked. What the body must be is left in
   * `request.signedDigest`.
   * @throws HttpProblem `signature-invalid`, `signature-replayed`, `signature-unverifiable`; or rejects with one.
   */
  readonly check: (request: FastifyRequest) => AccessKey | Promise<AccessKey>
}

export interface SignatureTerms {
  readonly accessKeys: Pick<AccessKeys, 'byId' | 'find' | 'isCurrent'>
  readonly keyring: Pick<Keyring, 'everyMac'>
  readonly nonces: Pick<Nonces, 'use'>
  /** Where callers find the service, if not at the Host they send. */
  readonly publicOrigin?: string | undefined
  /** Milliseconds since the Unix epoch. */
  readonly clock: () => number
  readonly logger: Pick<Logger, 'warn'>
}

export function isSigned(headers: IncomingHttpHeaders): boolean {
  return headers.signature !== undefined || headers['signature-input'] !== undefined
}

/** Refused is what cannot be checked: neither a missing memory nor a missing key makes a request pass. */
export function openSignedRequests(terms: SignatureTerms): SignedRequests {
  const { accessKeys, keyring, nonces, clock } = terms
  const secrets = new LRUCache<string, readonly HmacKey[]>({ max: keptSecrets })

  return {
    check: (request) => {
      const message = messageOf(request, terms.publicOrigin)
      const { candidate, key } = holding(message)
      if (!accessKeys.isCurrent()) throw new HttpProblem('signature-unverifiable')
      const enter = (isFirst: boolean) => {
        if (!isFirst) throw new HttpProblem('signature-replayed')
        request.signedDigest = message.hasBody ? message.headers['content-digest'] : undefined
        return key
      }
      const answer = isFresh(candidate)
      if (typeof answer === 'boolean') return enter(answer)
      return answer.then((isFirst) => {
        // A process that stood still while it waited may have been answered when the nonce had been used and forgotten.
        if (isFirst && isTooOld(candidate)) throw new HttpProblem('signature-unverifiable')
        return enter(isFirst)
      })
    },
  }

  /** The first signature that holds. Where none does, the caller is told of the first one. */
  function holding(message: SignedMessage): { candidate: CandidateSignature; key: AccessKey } {
    let refusal: SignatureError | undefined
    for (const candidate of read(message)) {
      try {
        return { candidate, key: verified(candidate, message) }
      } catch (error) {
        if (!(error instanceof SignatureError)) throw error
        refusal ??= error
      }
    }
    throw invalid(refusal?.message ?? 'there is none')
  }

  function verified(candidate: CandidateSignature, message: SignedMessage): AccessKey {
    const { keyId, createdS, expiresS } = candidate
    const nowS = clock() / 1_000
    if (isTooOld(candidate) || createdS - nowS > aheadMs / 1_000) {
      throw new SignatureError(
        `created must lie within the last ${windowS} s by our clock, which is at ${Math.floor(nowS)}`,
      )
    }
    if (expiresS !== undefined && expiresS < nowS) throw new SignatureError('expires has passed')
    const missing = missingComponent(candidate, message)
    if (missing !== undefined) throw new SignatureError(`the signature must cover ${missing}`)
    const holds = isSignedWith(candidate, message, secretsOf(keyId))
    const key = accessKeys.byId(keyId)
    // One answer for both, so that nobody learns which ids there are.
    if (!holds || !key) throw new SignatureError('the signature does not hold under a key with this keyid')
    const presented = message.headers['x-access-key']
    if (presented !== undefined && accessKeys.find(presented)?.id !== key.id) {
      throw new SignatureError(
        'X-Access-Key is another key than the one that signed: send only one of the two',
      )
    }
    return key
  }

  function secretsOf(keyId: string): readonly HmacKey[] {
    const known = secrets.get(keyId)
    if (known) return known
    const found = signingSecretsOf(keyring, keyId).map(hmacKey)
    secrets.set(keyId, found)
    return found
  }

  function isTooOld({ createdS }: CandidateSignature): boolean {
    return clock() / 1_000 - createdS > windowS
  }

  /** Only what cannot be answered at once is answered later. */
  function isFresh({ keyId, nonce, createdS }: CandidateSignature): boolean | Promise<boolean> {
    const createdMs = createdS * 1_000
    const keepMs = Math.min(Math.max(createdMs + windowMs + marginMs - clock(), marginMs), longestKeptMs)
    const answer = nonces.use(keyId, nonce, createdMs, keepMs)
    return typeof answer === 'boolean' ? answer : answer.catch(unverifiable)
  }

  function unverifiable(error: unknown): never {
    const reason = error instanceof Error ? error.message : String(error)
    terms.logger.warn({ reason }, 'a signed request cannot be checked')
    throw new HttpProblem('signature-unverifiable')
  }

  function read(message: SignedMessage): CandidateSignature[] {
    try {
      return signaturesOf(message.headers)
    } catch (error) {
      if (error instanceof SignatureError) throw invalid(error.message)
      throw error
    }
  }
}

/** @throws HttpProblem `digest-mismatch` where the request is signed and these are not the bytes that it was signed with. */
export function requireSignedBody(
  { signedDigest }: Pick<FastifyRequest, 'signedDigest'>,
  body: Uint8Array,
): void {
  if (signedDigest !== undefined && !digestMatches(signedDigest, body))
    throw new HttpProblem('digest-mismatch')
}

function messageOf({ raw, method }: FastifyRequest, publicOrigin: string | undefined): SignedMessage {
  const { headers, url = '' } = raw
  const targetUris = [`http://${headers.host}${url}`, `https://${headers.host}${url}`]
  if (publicOrigin) targetUris.unshift(`${publicOrigin}${url}`)
  return {
    method,
    targetUris,
    headers: isFlat(headers) ? headers : flat(headers),
    hasBody: headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0,
  }
}

/** Node joins the lines of every other name. */
function isFlat(
  headers: IncomingHttpHeaders,
): headers is IncomingHttpHeaders & Record<string, string | undefined> {
  return headers['set-cookie'] === undefined
}

function flat(headers: IncomingHttpHeaders): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  )
}

const invalid = (reason: string) =>
  new HttpProblem(
    'signature-invalid',
    { reason },
    { 'www-authenticate': 'Signature realm="incident-ledger"' },
  )
