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
import { aheadMs, type Nonces } from './nonces.ts'
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

/** How old a signature may be. */
const windowS = 300
/** What the clocks of several processes may differ by: so much longer are nonces remembered. */
const marginS = 60
const keptSecrets = 1_000

export interface SignedRequests {
  /**
   * The access key under which the request is signed. What the body must be is left in `request.signedDigest`.
   * @throws HttpProblem `signature-invalid`, `signature-replayed`, `signature-unverifiable`.
   */
  readonly check: (request: FastifyRequest) => Promise<AccessKey>
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
  const secrets = new LRUCache<string, readonly string[]>({ max: keptSecrets })

  return {
    check: async (request) => {
      const message = messageOf(request, terms.publicOrigin)
      const { candidate, key } = holding(message)
      if (!accessKeys.isCurrent()) throw new HttpProblem('signature-unverifiable')
      if (!(await isFresh(candidate))) throw new HttpProblem('signature-replayed')
      request.signedDigest = message.hasBody ? message.headers['content-digest'] : undefined
      return key
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
    if (nowS - createdS > windowS || createdS - nowS > aheadMs / 1_000) {
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
    if (
      message.headers['x-access-key'] !== undefined &&
      accessKeys.find(message.headers['x-access-key'])?.id !== key.id
    ) {
      throw new SignatureError(
        'X-Access-Key is another key than the one that signed: send only one of the two',
      )
    }
    return key
  }

  function secretsOf(keyId: string): readonly string[] {
    const known = secrets.get(keyId) ?? signingSecretsOf(keyring, keyId)
    secrets.set(keyId, known)
    return known
  }

  async function isFresh({ keyId, nonce, createdS }: CandidateSignature): Promise<boolean> {
    const untilMs = (createdS + windowS + marginS) * 1_000
    try {
      return await nonces.use(keyId, nonce, createdS * 1_000, Math.max(untilMs, clock() + marginS * 1_000))
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      terms.logger.warn({ reason }, 'a signed request cannot be checked')
      throw new HttpProblem('signature-unverifiable')
    }
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
  const origins = [
    `http://${headers.host}`,
    `https://${headers.host}`,
    ...(publicOrigin ? [publicOrigin] : []),
  ]
  return {
    method,
    targetUris: [...new Set(origins.map((origin) => `${origin}${url}`))],
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
    ),
    hasBody: headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0,
  }
}

const invalid = (reason: string) =>
  new HttpProblem(
    'signature-invalid',
    { reason },
    { 'www-authenticate': 'Signature realm="incident-ledger"' },
  )
