import { isIP } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { HttpProblem } from './problems.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Asked by what watches the service, at whatever address it has there: see `fenceOff`. */
    probed?: boolean
  }
}

/** As many spellings of accepted hosts are remembered, so that a stranger cannot fill the memory with ports. */
const remembered = 64

/**
 * Refuses what a foreign web page makes a browser send. Loopback alone is no fence: a page can name any host that resolves
 * to 127.0.0.1 (DNS rebinding: then Host is foreign), or post across origins (then Origin is foreign).
 *
 * A route that is `probed` answers to any IP address as Host, and to none at all: so ask Kubernetes and load balancers. It is no way in: what
 * is rebound is a name, and a browser sends the name.
 */
export function fenceOff(
  app: FastifyInstance,
  {
    hostNames,
    publicOrigin,
  }: { readonly hostNames: readonly string[]; readonly publicOrigin?: string | undefined },
): void {
  const names = new Set(hostNames.map((name) => name.toLowerCase()))
  const accepted = new Set<string>()

  function isOurs(host: string): boolean {
    if (accepted.has(host)) return true
    const name = hostName(host)
    if (name === undefined || !(isLoopback(name) || names.has(name))) return false
    if (accepted.size < remembered) accepted.add(host)
    return true
  }

  app.addHook('onRequest', ({ headers: { host = '', origin }, routeOptions }, _reply, done) => {
    const { probed = false } = routeOptions.config
    if (!isOurs(host) && !(probed && isOfProbe(host))) return done(new HttpProblem('foreign-host'))
    if (origin !== undefined && !isSameOrigin(origin, host) && origin !== publicOrigin) {
      return done(new HttpProblem('foreign-origin'))
    }
    done()
  })
}

/** The lower-case name of `name[:port]`, IPv6 in its brackets. */
function hostName(host: string): string | undefined {
  return /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(host)?.[1]?.toLowerCase()
}

/** No name: an address, or nothing, which no browser sends. */
function isOfProbe(host: string): boolean {
  return host === '' || isIP(hostName(host)?.replace(/^\[(.*)\]$/, '$1') ?? '') !== 0
}

function isLoopback(name: string): boolean {
  return (
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    name === '[::1]' ||
    /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name)
  )
}

/** `null`, the origin of sandboxed pages and files, is nobody's. */
function isSameOrigin(origin: string, host: string): boolean {
  return origin === `http://${host}` || origin === `https://${host}`
}
