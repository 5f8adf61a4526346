import type { LedgerFault } from '../ledger/errors.ts'
import { LedgerError } from '../ledger/errors.ts'
import { ReadModelError } from '../projections/read-model.ts'
import { HttpProblem, type ProblemSlug } from './problems.ts'

/**
 * The problem that an error is to the caller; undefined for one that is ours alone: nothing of it is shown. `limitBytes`: of
 * the body, on the route where it happened.
 */
export function problemOf(error: unknown, limitBytes?: number): HttpProblem | undefined {
  if (error instanceof HttpProblem) return error
  if (error instanceof LedgerError) return new HttpProblem(error.fault.code, shown(error.fault))
  if (error instanceof ReadModelError) return new HttpProblem(error.code)
  return fastifyProblem(error, limitBytes)
}

/** What of a fault the caller may see. Total: a new fault does not compile until it has its place here. */
function shown(fault: LedgerFault): Record<string, unknown> {
  switch (fault.code) {
    case 'illegal-transition':
      return {
        detail: `An incident that is ${fault.from} cannot become ${fault.to}.`,
        from: fault.from,
        to: fault.to,
        allowed: fault.allowed,
      }
    case 'revision-mismatch':
      return { expected: fault.expected, actual: fault.actual }
    case 'occurred-in-future':
      return {
        errors: [{ path: '/occurredAt', message: `must not be later than ${fault.latest}` }],
        latest: fault.latest,
      }
    case 'too-many-labels':
      return {
        errors: [{ path: '/labels', message: `must leave at most ${fault.limit} labels` }],
        limit: fault.limit,
      }
    case 'incident-full':
      return { limit: fault.limit }
    case 'expiry-in-past':
      return { errors: [{ path: '/expiresAt', message: 'must lie in the future' }] }
    case 'incident-not-found':
    case 'incident-exists':
    case 'incident-closed':
    case 'idempotency-key-reused':
    case 'contended':
    case 'outcome-unknown':
    case 'event-store-unavailable':
    case 'ledger-retired':
    case 'history-unreadable':
    case 'not-yet-reported':
    case 'access-key-not-found':
    case 'access-key-exists':
    case 'access-key-revoked':
      return {}
    default:
      return fault satisfies never
  }
}

const slugsOfFastify: Readonly<Record<string, ProblemSlug>> = {
  FST_ERR_BAD_URL: 'malformed-request',
  FST_ERR_MAX_PARAM_LENGTH: 'malformed-request',
  FST_ERR_ASYNC_CONSTRAINT: 'malformed-request',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed-request',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed-json',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body-too-large',
}

function fastifyProblem(error: unknown, limitBytes: number | undefined): HttpProblem | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const slug = slugsOfFastify[code]
  return slug && new HttpProblem(slug, slug === 'body-too-large' ? { limitBytes } : {})
}
