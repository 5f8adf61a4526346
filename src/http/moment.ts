/** Moments of the past in query parameters. */
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { type Instant, instant } from '../aggregates/incident/index.ts'
import type { PastMoment } from '../projections/read-model.ts'
import { invalidField } from './invalid-input.ts'
import { HttpProblem } from './problems.ts'

export const momentParameters = {
  asOf: instant.optional().describe('What had happened by then.'),
  knownAt: instant.optional().describe('What this ledger knew by then.'),
}

/** @throws HttpProblem where both are given, or the moment lies in the future. */
export function pastMoment(
  query: { readonly asOf?: Instant | undefined; readonly knownAt?: Instant | undefined },
  nowMs: number,
): PastMoment | undefined {
  const { asOf, knownAt } = query
  if (asOf && knownAt) throw invalidField('invalid-query', '/knownAt', 'must not come together with asOf')
  if (asOf) return { asOf: past(asOf, '/asOf', nowMs) }
  if (knownAt) return { knownAt: past(knownAt, '/knownAt', nowMs) }
  return undefined
}

/** @throws HttpProblem where the moment lies in the future. */
export function past(moment: Instant, path: string, nowMs: number): Instant {
  if (Date.parse(moment) <= nowMs) return moment
  throw new HttpProblem('moment-in-future', { errors: [{ path, message: 'must not lie in the future' }] })
}

/**
 * Marks the answer where events may still be added before the moment. To be called before anything is looked up: the answer that there
 * was nothing by then may change as well.
 */
export function markIfProvisional(
  reply: FastifyReply,
  moment: PastMoment,
  nowMs: number,
  provisionalMs: number,
): void {
  const ageMs = nowMs - Date.parse('asOf' in moment ? moment.asOf : moment.knownAt)
  if (ageMs < provisionalMs) markProvisional(reply)
}

/** Says on the answer that it may still change, and must not be kept. */
export function markProvisional(reply: FastifyReply): void {
  reply.header('ledger-provisional', 'true').header('cache-control', 'no-store')
}

/** A revision as digits, or a time. */
export const revisionOrTime = z.union([
  z
    .string()
    .regex(/^\d{1,9}$/)
    .transform(Number),
  instant,
])
