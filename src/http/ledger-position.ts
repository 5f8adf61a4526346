/** Reading one's own writes: answers say how far the ledger was, and a reader can ask for at least that. */
import type { preHandlerHookHandler } from 'fastify'
import type { LedgerPosition } from '../ledger/event.ts'
import type { Announced, Announcements } from '../projections/read-model.ts'
import { invalidField } from './invalid-input.ts'
import { HttpProblem } from './problems.ts'

/** A position as callers see it: opaque, and only to be sent back. */
export function encodePosition({ commit, prepare }: LedgerPosition): string {
  return Buffer.from(`${commit}.${prepare}`).toString('base64url')
}

/** @throws HttpProblem `invalid-header` for what was never a position of ours. */
export function decodePosition(header: string): LedgerPosition {
  const text = Buffer.from(header, 'base64url').toString('latin1')
  const [, commit, prepare] = /^(\d{1,20})\.(\d{1,20})$/.exec(text) ?? []
  if (!commit || !prepare) {
    throw invalidField('invalid-header', '/ledger-position', 'must be sent as an answer gave it')
  }
  return { commit: BigInt(commit), prepare: BigInt(prepare) }
}

/**
 * For routes that read the read model: waits until it shows the position that the request sends, and says on the answer what
 * it shows at least. A position that is not reached in time is a 503.
 */
export function showingPosition(announcements: Announcements, waitMs: number): preHandlerHookHandler {
  const encoded = lastEncoded()
  return (request, reply, done) => {
    const asked = request.headers['ledger-position']
    if (asked === undefined) return answer()
    announcements
      .reached(decodePosition(String(asked)), waitMs)
      .then((reached) => (reached ? answer() : done(new HttpProblem('position-not-reached'))), done)

    function answer(): void {
      const announced = announcements.current()
      if (announced) reply.header('ledger-position', encoded(announced))
      done()
    }
  }
}

/** Thousands of answers share one announcement: it is encoded once. */
function lastEncoded(): (announced: Announced) => string {
  let last: { readonly announced: Announced; readonly header: string } | undefined
  return (announced) => {
    if (last?.announced !== announced) last = { announced, header: encodePosition(announced.position) }
    return last.header
  }
}
