import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type AccessKey, type Scope, scopes } from './access-key.ts'
import type { AccessKeys } from './access-keys.ts'
import { HttpProblem } from './problems.ts'
import type { RateLimits } from './rate-limits.ts'
import { isSigned, type SignedRequests } from './signed-requests/check.ts'

/** What a route asks of its callers: a key with this scope, or nothing at all. */
export type Access = Scope | 'public'

declare module 'fastify' {
  interface FastifyInstance {
    /** Set in an encapsulated scope whose routes are not ours to declare: what they ask for. */
    accessOfRoutes?: Access
  }
  interface FastifyContextConfig {
    access?: Access
  }
  interface FastifyRequest {
    /** Who asks; undefined on a public route. */
    accessKey: AccessKey | undefined
  }
}

/**
 * Lets no request to a route of this instance pass without an access key that has the route's scope. A route says
 * `config.access`, or it fails to register; only one that says `public` is open. An unknown path asks for a key too.
 * The guard lets nothing through by path: a path can be spelled in many ways, a route is one.
 */
export function guardRoutes(app: FastifyInstance, { accessKeys, signed, rates }: Door): void {
  app.decorateRequest('accessKey', undefined)
  app.addHook('onRoute', function (route) {
    const access = route.config?.access ?? this.accessOfRoutes
    if (access !== 'public' && (access === undefined || !scopes.includes(access))) {
      throw new Error(
        `${route.method} ${route.url} must declare config.access: ${scopes.join(', ')} or public`,
      )
    }
    route.config = { ...route.config, access }
  })
  app.addHook('onRequest', (request, reply, done) => {
    const { access } = request.routeOptions.config
    if (access === 'public') return done()
    const refuse = (problem: Error) => void rates.countRefusal(request, problem).then(done, done)
    const enter = (key: AccessKey) => {
      if (!rates.countRequest) return admit(request, key, access, done)
      rates.countRequest(request, reply, key).then(() => admit(request, key, access, done), done)
    }
    if (!isSigned(request.headers)) {
      // The key is looked up first, which is cheap: who has one is not kept out by a neighbour who guesses.
      const key = presentedKey(request.headers, accessKeys)
      if (key && !key.requiresSignature) return enter(key)
      if (rates.isBlocked(request)) return rates.refuseBlocked(request, done)
      return refuse(key ? new HttpProblem('signature-required') : unauthorized())
    }
    if (rates.isBlocked(request)) return rates.refuseBlocked(request, done)
    const turnAway = (error: Error) => (isOfCaller(error) ? refuse(error) : done(error))
    let key: AccessKey | Promise<AccessKey>
    try {
      key = signed.check(request)
    } catch (error) {
      return turnAway(error instanceof Error ? error : new Error(String(error)))
    }
    if (key instanceof Promise) key.then(enter, turnAway)
    else enter(key)
  })
}

/** What stands between the routes and their callers. */
export interface Door {
  readonly accessKeys: Pick<AccessKeys, 'find'>
  readonly signed: SignedRequests
  readonly rates: RateLimits
}

/** A request that could not be checked is not held against its address. */
function isOfCaller(error: Error): boolean {
  return error instanceof HttpProblem && error.statusCode === 401
}

function admit(
  request: FastifyRequest,
  key: AccessKey,
  access: Access | undefined,
  done: (error?: Error) => void,
): void {
  request.accessKey = key
  const isMissing = access !== undefined && access !== 'public' && !key.scopes.has(access)
  done(isMissing ? new HttpProblem('scope-missing', { scope: access }) : undefined)
}

/** The key that an unsigned request opens the service with, if it carries one. */
export function keyOf(
  headers: IncomingHttpHeaders,
  accessKeys: Pick<AccessKeys, 'find'>,
): AccessKey | undefined {
  const key = presentedKey(headers, accessKeys)
  return key?.requiresSignature ? undefined : key
}

function presentedKey(
  headers: IncomingHttpHeaders,
  accessKeys: Pick<AccessKeys, 'find'>,
): AccessKey | undefined {
  const credential = credentialOf(headers)
  return credential ? accessKeys.find(credential) : undefined
}

/** Who asks, on a route that is not public. */
export function callerOf(request: FastifyRequest): AccessKey {
  if (!request.accessKey) throw new Error(`${request.routeOptions.url} is public: it has no caller`)
  return request.accessKey
}

/** The key as the caller sent it: X-Access-Key; or the same key as bearer token or Basic password, for senders that cannot set a header of their own. */
function credentialOf(headers: IncomingHttpHeaders): string | undefined {
  const key = headers['x-access-key']
  if (key !== undefined) return String(key)
  const [, scheme, token] = /^(Bearer|Basic) +(\S+)$/i.exec(headers.authorization ?? '') ?? []
  if (!scheme || !token) return undefined
  if (scheme.toLowerCase() === 'bearer') return token
  return Buffer.from(token, 'base64')
    .toString()
    .replace(/^[^:]*:/, '')
}

/** Bearer, not Basic: a browser that is asked for Basic shows a login of its own, and then sends the key by itself. */
function unauthorized(): HttpProblem {
  return new HttpProblem('access-key-required', {}, { 'www-authenticate': 'Bearer realm="incident-ledger"' })
}
