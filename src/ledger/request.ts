import canonicalize from 'canonicalize'
import { instantOf, type Occurrence } from '../aggregates/incident/index.ts'
import { LedgerError } from './errors.ts'
import type { Mark } from './event.ts'
import { requestId } from './identity.ts'
import type { Provenance } from './incident-journal.ts'
import type { CommandContext, Keyring } from './ledger.ts'

/** A command under way: who asks and why, how it is known again, and until when it may be done. */
export interface Request {
  readonly context: CommandContext
  readonly provenance: Provenance
  /** Where the caller gave a key. */
  readonly mark: RequestMark | undefined
  /** Nothing of it is sent later than this, of `performance.now()`. */
  readonly until: number
  /** The time of an event that is decided now. */
  readonly now: () => Occurrence
}

export interface RequestMark extends Mark {
  /** Throws `idempotency-key-reused` where the hash is of another request. */
  readonly verify: (requestHash: string) => void
}

export interface RequestTerms {
  readonly keyring: Keyring
  /** Milliseconds since the Unix epoch. */
  readonly clock: () => number
  /** From a command's arrival to the last moment at which it may be appended. */
  readonly appendDeadlineMs: number
}

export function openRequest(context: CommandContext, terms: RequestTerms): Request {
  const mark = context.idempotency && markOf(context.idempotency, terms.keyring)
  return {
    context,
    mark,
    until: performance.now() + terms.appendDeadlineMs,
    now: () => {
      const recordedAt = instantOf(terms.clock())
      return { at: context.at ?? recordedAt, recordedAt }
    },
    provenance: {
      $correlationId: context.correlationId,
      ...(context.causationId !== undefined && { $causationId: context.causationId }),
      actor: context.actor,
      ...(mark && { idempotency: { key: mark.key, requestHash: mark.requestHash } }),
      ...(context.traceparent !== undefined && { traceparent: context.traceparent }),
    },
  }
}

const purpose = 'request-hash'

/** The request is hashed as canonical JSON (RFC 8785), and under a secret: what it holds must not be there to be guessed. */
function markOf(
  { scope, key, request }: NonNullable<CommandContext['idempotency']>,
  keyring: Keyring,
): RequestMark {
  const canonical = canonicalize(request) ?? ''
  return {
    key: requestId(scope, key),
    requestHash: keyring.sign(purpose, canonical),
    verify: (requestHash) => {
      if (!keyring.verify(purpose, canonical, requestHash)) {
        throw new LedgerError({ code: 'idempotency-key-reused' })
      }
    },
  }
}
