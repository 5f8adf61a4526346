/** Everything that can be wrong with a request, or with us: one catalogue of problem details (RFC 9457). */

interface ProblemKind {
  readonly status: number
  readonly title: string
  /** What happened and what the caller can do about it: the text of the problem's page. */
  readonly description: string
  /** For the Retry-After header, where trying the same again can help. */
  readonly retryAfterSeconds?: number
}

export const problems = {
  'malformed-request': {
    status: 400,
    title: 'Not a request we can parse',
    description:
      'The request is not well-formed HTTP, or its path is not well-formed. Check how it is built.',
  },
  'malformed-json': {
    status: 400,
    title: 'The body is not JSON',
    description: 'The body must be one JSON value in UTF-8. Check it with a JSON parser before sending it.',
  },
  'invalid-path': {
    status: 400,
    title: 'A part of the path has the wrong form',
    description:
      'The path holds a value of the wrong form, such as an id that is no UUID. `errors` names it.',
  },
  'invalid-query': {
    status: 400,
    title: 'A query parameter is unknown or has the wrong form',
    description: '`errors` names each parameter that was not understood. The docs list what the route takes.',
  },
  'invalid-header': {
    status: 400,
    title: 'A header has the wrong form',
    description: '`errors` names the header and says which form it must have.',
  },
  'invalid-cursor': {
    status: 400,
    title: 'The cursor does not belong to this list',
    description:
      'A cursor is valid only as it was given, with the same filters and sort as the page it came with. Start again without it.',
  },
  'moment-in-future': {
    status: 400,
    title: 'The moment lies in the future',
    description:
      'What will have been known at a time to come cannot be answered. Ask for a moment of the past.',
  },
  'access-key-required': {
    status: 401,
    title: 'An access key is required',
    description:
      'Send a valid access key in the header X-Access-Key, or as the bearer token or Basic password of Authorization. The key that came, if any, is not known or has expired.',
  },
  'signature-required': {
    status: 401,
    title: 'The request must be signed',
    description:
      'This access key opens the service to signed requests only: send Signature-Input and Signature (RFC 9421) instead of the key. The docs show how.',
  },
  'signature-invalid': {
    status: 401,
    title: 'The signature is not taken',
    description: '`reason` says why. The docs show what a signature must cover, and how it is made.',
  },
  'signature-replayed': {
    status: 401,
    title: 'The signature was used before',
    description: 'Each signature is taken once. Sign the request anew, with another nonce.',
  },
  'digest-mismatch': {
    status: 400,
    title: 'The body is not the one that was signed',
    description:
      'Content-Digest must be the SHA-256 or SHA-512 digest of the bytes of the body, as they are sent (RFC 9530).',
  },
  'scope-missing': {
    status: 403,
    title: 'The access key may not do this',
    description: 'The key is valid, but lacks the scope that `scope` names. Use a key that has it.',
  },
  'foreign-origin': {
    status: 403,
    title: 'Requests of other origins are refused',
    description:
      'The Origin header names another site. Pages of other sites may not use this service from a browser.',
  },
  'not-found': {
    status: 404,
    title: 'There is nothing here',
    description: 'No route has this path. The docs at /docs list every route.',
  },
  'incident-not-found': {
    status: 404,
    title: 'No such incident',
    description:
      'No incident has this id. One that was reported a moment ago may still be on its way to the read model: send its Ledger-Position.',
  },
  'access-key-not-found': {
    status: 404,
    title: 'No such access key',
    description: 'No access key was issued under this id. GET /access-keys lists those there are.',
  },
  'not-yet-reported': {
    status: 404,
    title: 'Not at that moment',
    description: 'The incident was not reported yet at that moment, or never had that revision.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'The route does not take this method',
    description: 'The Allow header lists the methods of this path.',
  },
  'request-timeout': {
    status: 408,
    title: 'The request took too long to arrive',
    description: 'The request was not complete in time. Send it again, faster.',
  },
  'illegal-transition': {
    status: 409,
    title: 'The status cannot change like that',
    description: '`from` is the status as it is, `allowed` lists which may follow it.',
  },
  'incident-closed': {
    status: 409,
    title: 'The incident is closed',
    description: 'A closed incident is final and takes notes only. Report a new one.',
  },
  'incident-full': {
    status: 409,
    title: 'The incident has as many events as it can hold',
    description: '`limit` is the most events that an incident can have. Report a new one.',
  },
  'incident-exists': {
    status: 409,
    title: 'The incident exists already',
    description: 'An incident has this identity already.',
  },
  'access-key-revoked': {
    status: 409,
    title: 'The access key is revoked',
    description: 'A revoked key stays revoked, and as it was. Issue another one.',
  },
  'access-key-exists': {
    status: 409,
    title: 'The access key exists already',
    description: 'An access key was issued under this id already.',
  },
  'revision-mismatch': {
    status: 412,
    title: 'The incident has another revision',
    description:
      'If-Match named `expected`, but the incident is at `actual`. Read it again, then decide again.',
  },
  'body-too-large': {
    status: 413,
    title: 'The body is too large',
    description: '`limitBytes` is the most that a body may have.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'Only JSON is taken',
    description:
      'Send the body as application/json, with that Content-Type. A PATCH takes application/merge-patch+json too.',
  },
  'expectation-failed': {
    status: 417,
    title: 'The expectation cannot be met',
    description: 'Of the Expect header only 100-continue is understood.',
  },
  'foreign-host': {
    status: 421,
    title: 'The request was meant for another host',
    description:
      'The Host header must be a loopback name, or the name that the service is configured with (PUBLIC_URL).',
  },
  'invalid-body': {
    status: 422,
    title: 'The body does not have the right form',
    description: '`errors` names each field that is wrong, by JSON Pointer, and what it must be.',
  },
  'too-many-labels': {
    status: 422,
    title: 'Too many labels',
    description: 'With this change the incident would have more labels than `limit`.',
  },
  'occurred-in-future': {
    status: 422,
    title: 'The incident would have begun in the future',
    description: '`occurredAt` must not be later than `latest`. Check the clock of the reporter.',
  },
  'expiry-in-past': {
    status: 422,
    title: 'The access key would have expired already',
    description: '`expiresAt` must lie in the future. To take a key away now, revoke it.',
  },
  'idempotency-key-reused': {
    status: 422,
    title: 'The idempotency key was used for another request',
    description:
      'This Idempotency-Key came with another method, path or body before. Use a new key for a new request.',
  },
  'headers-too-large': {
    status: 431,
    title: 'The headers are too large',
    description: 'The request line and all headers together may have 16 KiB. Send fewer or shorter ones.',
  },
  'too-many-requests': {
    status: 429,
    title: 'Too many requests',
    description:
      'More requests came under this access key than it may make in a minute, or too many wrong keys or signatures from this address. Wait as long as Retry-After says.',
    retryAfterSeconds: 60,
  },
  'internal-error': {
    status: 500,
    title: 'Something is wrong on our side',
    description: 'This should not happen. Tell the operator the `correlationId`: the log has the rest.',
  },
  'history-unreadable': {
    status: 500,
    title: 'A part of the history cannot be read',
    description:
      'The history of this incident holds an event that this version of the service cannot read. An operator must look at it; /health counts such events.',
  },
  'history-altered': {
    status: 500,
    title: 'The history is not the one that was signed',
    description:
      'What the event store holds of this incident is not what the notary signed, or its text is not what was committed to. An operator must look at it; /health says what the notary found.',
  },
  contended: {
    status: 503,
    title: 'Too many changes to this incident at once',
    description: 'Other writers kept getting there first. Nothing was changed. Try again.',
    retryAfterSeconds: 1,
  },
  'outcome-unknown': {
    status: 503,
    title: 'Whether it was done is not known',
    description:
      'The event store did not answer in time: the change may or may not have been made. With the same Idempotency-Key it is safe to send it again.',
    retryAfterSeconds: 2,
  },
  'event-store-unavailable': {
    status: 503,
    title: 'The event store cannot be reached',
    description: 'Nothing was changed. Reads of current state may still work. Try again.',
    retryAfterSeconds: 2,
  },
  'ledger-retired': {
    status: 503,
    title: 'The ledger was moved',
    description:
      'The ledger lives in another event store now, or is being moved there, and this process still has the old one. Nothing was changed. Try again: an operator is expected to connect the service to the new one.',
    retryAfterSeconds: 30,
  },
  overloaded: {
    status: 503,
    title: 'The service has more to do than it can',
    description: 'Nothing was done. Try again, more slowly.',
    retryAfterSeconds: 2,
  },
  'signature-unverifiable': {
    status: 503,
    title: 'Signed requests cannot be checked now',
    description:
      'Whether the signature was used before, or its key was revoked, cannot be found out just now. Nothing was done. Try again, with a new signature.',
    retryAfterSeconds: 2,
  },
  'read-model-unavailable': {
    status: 503,
    title: 'The read model cannot answer now',
    description: 'Reports and changes are still taken. Try the query again.',
    retryAfterSeconds: 2,
  },
  'query-timeout': {
    status: 503,
    title: 'The query took too long',
    description: 'Narrow the query with more filters or a shorter time span, then try again.',
    retryAfterSeconds: 5,
  },
  'position-not-reached': {
    status: 503,
    title: 'The read model is not that far yet',
    description:
      'What was appended at the Ledger-Position sent is not visible yet. Try again, or leave the header out to read what is there.',
    retryAfterSeconds: 1,
  },
  'not-yet-signed': {
    status: 503,
    title: 'No signed note is over it yet',
    description:
      'The newest events come under a signed note about a second after they happened, if the notary runs: /health says how it is. Try again.',
    retryAfterSeconds: 1,
  },
  'too-many-streams': {
    status: 503,
    title: 'Too many event streams are open',
    description: 'This process serves as many streams as it can. Try again, or page through /events.',
    retryAfterSeconds: 30,
  },
} as const satisfies Readonly<Record<string, ProblemKind>>

export type ProblemSlug = keyof typeof problems
export const problemSlugs = Object.keys(problems) as ProblemSlug[]

export const problemMediaType = 'application/problem+json'

/** One thing that is wrong with the input. `path` is a JSON Pointer (RFC 6901) into the body, the query, the path's parameters or the headers. */
export interface InputError {
  readonly path: string
  readonly message: string
}

/** A request ends in this problem. `members` are the problem's own, `headers` go on the answer. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem'
  readonly slug: ProblemSlug
  readonly members: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, string>>
  /** Fastify asks for these two. */
  readonly statusCode: number
  code: ProblemSlug

  constructor(
    slug: ProblemSlug,
    members: Readonly<Record<string, unknown>> & {
      readonly detail?: string
      readonly errors?: readonly InputError[]
    } = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(slug)
    this.slug = slug
    this.code = slug
    this.members = members
    this.headers = headers
    this.statusCode = problems[slug].status
  }
}

/** The headers and the body of a problem's answer. `correlationId` lets the operator find the log line. */
export function problemAnswer({ slug, members, headers }: HttpProblem, correlationId?: string) {
  const kind: ProblemKind = problems[slug]
  return {
    status: kind.status,
    headers: {
      'content-type': problemMediaType,
      'cache-control': 'no-store',
      ...(kind.retryAfterSeconds && { 'retry-after': String(kind.retryAfterSeconds) }),
      ...headers,
    },
    body: JSON.stringify({
      type: `/problems/${slug}`,
      title: kind.title,
      status: kind.status,
      detail: kind.description,
      ...members,
      ...(correlationId && { correlationId }),
    }),
  }
}
