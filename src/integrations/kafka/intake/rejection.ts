import type { z } from 'zod'
import type { LedgerFault } from '../../../ledger/errors.ts'

/** What can be wrong with a record, whatever the ledger holds. */
export const recordFaults = [
  'no-value',
  'too-large',
  'unsupported-content-type',
  'not-json',
  'invalid-cloudevent',
  'invalid-report',
  'foreign-provenance',
  'internal-error',
] as const

/** Why a record is not taken: what is wrong with it, or what the ledger said. */
export type RejectionReason = (typeof recordFaults)[number] | LedgerFault['code']

/** The record cannot be taken, now or later. The message is a sentence that tells its sender what to do. */
export class Rejection extends Error {
  override readonly name = 'Rejection'
  readonly reason: RejectionReason

  constructor(reason: RejectionReason, sentence: string, options?: ErrorOptions) {
    super(sentence, options)
    this.reason = reason
  }
}

/** Problems that are told, at most: a sender of a thousand wrong labels is told about the first. */
const problemsAtMost = 3
const pathLength = 256

export function schemaRejection(
  reason: RejectionReason,
  what: string,
  issues: readonly z.core.$ZodIssue[],
): Rejection {
  const problems = issues.flatMap(problemsOf).slice(0, problemsAtMost)
  return new Rejection(reason, `${what} does not have the right form. ${problems.join(' ')}`)
}

function problemsOf(issue: z.core.$ZodIssue): string[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${named([...issue.path, key])} is not known here.`)
  }
  const message = issue.message
    .replace(/^Invalid input: expected (.*), received undefined$/, 'must be $1, but is missing')
    .replace(/^Invalid input: expected (.*), received (.*)$/, 'must be $1, not $2')
    .replace(/^Invalid option: expected one of (.*)$/, 'must be one of $1')
  return [`${named(issue.path) || 'It'} ${message}.`]
}

function named(path: readonly PropertyKey[]): string {
  return path.join('.').toWellFormed().replaceAll('\u0000', '').slice(0, pathLength)
}

/** A refusal of the ledger that no waiting changes. */
export function faultRejection(fault: LedgerFault, options: ErrorOptions): Rejection {
  return new Rejection(fault.code, sentenceOf(fault), options)
}

function sentenceOf(fault: LedgerFault): string {
  switch (fault.code) {
    case 'incident-not-found':
      return 'No incident was reported on Kafka under this externalKey. Report it first.'
    case 'illegal-transition':
      return `The incident is ${fault.from} and cannot become ${fault.to}; it can become ${fault.allowed.join(', ') || 'nothing else any more'}.`
    case 'incident-full':
      return `The incident has as many events as it can hold, ${fault.limit}. Report a new one.`
    case 'occurred-in-future':
      return `occurredAt must not be later than ${fault.latest}. Check the clock of the reporter.`
    case 'idempotency-key-reused':
      return 'A report that says something else came with this source and id before. Give each report an id of its own.'
    case 'history-unreadable':
      return 'The history of the incident holds an event that this version of the service cannot read.'
    default:
      return `The ledger refused it: ${fault.code}.`
  }
}
