/** W3C Trace Context, version 00 and what is compatible with it. */
import type { IncomingHttpHeaders } from 'node:http'

const wellFormed = /^(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** The header as the caller sent it; undefined for none, and for another form: the specification asks to pass over it. */
export function traceparentOf({ traceparent }: IncomingHttpHeaders): string | undefined {
  return typeof traceparent === 'string' && wellFormed.test(traceparent) ? traceparent : undefined
}

/** By which the caller's traces are found. */
export function traceIdOf(headers: IncomingHttpHeaders): string | undefined {
  return wellFormed.exec(String(headers.traceparent ?? ''))?.[1]
}
