import type { z } from 'zod'
import type { Access } from './guard.ts'
import { type ProblemSlug, problems } from './problems.ts'

/** A route as the OpenAPI document describes it. */
export interface Operation {
  readonly access: Access
  readonly tag: 'Incidents' | 'Events' | 'Audit' | 'Access keys' | 'Service'
  readonly summary: string
  readonly description: string
  /** By status, what the route answers when all is well. */
  readonly answers: Readonly<Record<number, Answer>>
  /** What can go wrong here, beside what can go wrong everywhere. */
  readonly problems?: readonly ProblemSlug[]
  readonly requestHeaders?: readonly RequestHeader[]
  /** Media types of the body, beside application/json. */
  readonly consumes?: readonly string[]
  /** Its reads are audit records. */
  readonly audited?: boolean
}

export interface Answer {
  readonly description: string
  readonly schema?: z.ZodType
  /** application/json, unless it says otherwise. */
  readonly mediaType?: string
  readonly headers?: readonly AnswerHeader[]
}

export const requestHeaders = {
  'Idempotency-Key':
    'At most 255 characters, bare or as a quoted string. The same key with the same request gets the first answer again. A change that changed nothing leaves no mark: pin it with If-Match.',
  'If-Match': 'The revision that the change was decided on, as the ETag says it: `"3"`; or `*` for any.',
  'If-None-Match': 'An ETag: answers 304 while the incident is still at that revision.',
  'Ledger-Position': 'From an earlier answer: the query waits up to a second until it shows at least that.',
  'Last-Event-ID': 'Index of the last event received: the stream goes on after it.',
} as const
export type RequestHeader = keyof typeof requestHeaders

export const answerHeaders = {
  ETag: 'The revision, in quotes.',
  Location: 'Path of the incident.',
  'Ledger-Position': 'How far the ledger was: a query that sends it back shows at least that.',
  'Ledger-Projection': '`pending`: done and durable, but queries do not show it yet.',
  'Ledger-Provisional': '`true`: the moment is so young that the answer may still change.',
} as const
export type AnswerHeader = keyof typeof answerHeaders

declare module 'fastify' {
  interface FastifyContextConfig {
    operation?: Operation
  }
}

export interface RequestParts {
  readonly params?: z.ZodType
  readonly querystring?: z.ZodType
  readonly body?: z.ZodType
}

/** The options of a Fastify route: what it takes is validated by zod, all of it goes into the OpenAPI document. */
export function operation<const Parts extends RequestParts>(described: Operation, parts: Parts) {
  const { access, audited = false } = described
  return { schema: parts, config: { access, audited, operation: described } }
}

/** Every problem that the route can answer, by status. */
export function problemsByStatus(
  described: Operation,
  parts: RequestParts,
  method: string,
): Map<number, ProblemSlug[]> {
  const isBodyRead = !['GET', 'HEAD'].includes(method)
  const slugs: ProblemSlug[] = [
    'malformed-request',
    'foreign-origin',
    'request-timeout',
    'foreign-host',
    'headers-too-large',
    'internal-error',
    'overloaded',
    ...(described.access === 'public'
      ? []
      : ([
          'access-key-required',
          'signature-required',
          'signature-invalid',
          'signature-replayed',
          'signature-unverifiable',
          'scope-missing',
          'too-many-requests',
        ] as const)),
    ...(parts.params ? (['invalid-path'] as const) : []),
    ...(parts.querystring ? (['invalid-query'] as const) : []),
    ...(isBodyRead
      ? (['malformed-json', 'digest-mismatch', 'body-too-large', 'unsupported-media-type'] as const)
      : []),
    ...(parts.body ? (['invalid-body'] as const) : []),
    ...(described.requestHeaders?.some((header) => header !== 'If-None-Match')
      ? (['invalid-header'] as const)
      : []),
    ...(described.problems ?? []),
  ]
  return Map.groupBy(slugs, (slug) => problems[slug].status)
}
