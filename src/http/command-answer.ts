import type { FastifyReply, FastifyRequest } from 'fastify'
import { LedgerError } from '../ledger/errors.ts'
import type { CommandAnswer, CommandContext } from '../ledger/ledger.ts'
import { incidentJson } from '../projections/incident-rows.ts'
import type { Announcements } from '../projections/read-model.ts'
import { etagOf, expectedRevision } from './etag.ts'
import { callerOf } from './guard.ts'
import { invalidField } from './invalid-input.ts'
import { encodePosition } from './ledger-position.ts'
import type { HttpMetrics } from './metrics.ts'
import { traceparentOf } from './traceparent.ts'

export interface CommandSeams {
  readonly announcements: Pick<Announcements, 'reached'>
  readonly metrics: HttpMetrics
  readonly visibilityMs: number
}

/** Who asks, under which key and precondition: what the request's headers say about a command. */
export function commandContext(request: FastifyRequest): CommandContext {
  const { id, name } = callerOf(request)
  const expected = expectedRevision(request.headers)
  const key = idempotencyKey(request)
  const traceparent = traceparentOf(request.headers)
  return {
    actor: { kind: 'access-key', id, name },
    correlationId: request.id,
    ...(traceparent !== undefined && { traceparent }),
    ...(expected !== undefined && { expectedRevision: expected }),
    ...(key !== undefined && {
      idempotency: {
        scope: id,
        key,
        request: [request.method, request.routeOptions.url, request.params, request.body],
      },
    }),
  }
}

/** Runs a command and answers with the incident, once queries show it or a second has passed. A repetition answers the same. */
export async function answerCommand(
  type: string,
  reply: FastifyReply,
  { announcements, metrics, visibilityMs }: CommandSeams,
  run: () => Promise<CommandAnswer>,
): Promise<FastifyReply> {
  const { outcome, incident, position } = await counted(type, metrics, run)
  const visible = await announcements.reached(position, visibilityMs)
  reply
    .header('etag', etagOf(incident.revision))
    .header('ledger-position', encodePosition(position))
    .type('application/json; charset=utf-8')
  if (!visible) reply.header('ledger-projection', 'pending')
  if (outcome === 'created' || outcome === 'joined') reply.header('location', `/incidents/${incident.id}`)
  return reply.code(outcome === 'created' ? 201 : 200).send(incidentJson(incident))
}

async function counted(type: string, metrics: HttpMetrics, run: () => Promise<CommandAnswer>) {
  try {
    const answer = await run()
    metrics.command(type, answer.outcome)
    return answer
  } catch (error) {
    metrics.command(type, error instanceof LedgerError ? error.fault.code : 'internal-error')
    throw error
  }
}

/** The draft's quoted string, or the same bare; at most 255 printable ASCII characters. */
function idempotencyKey({ headers }: FastifyRequest): string | undefined {
  const value = headers['idempotency-key']
  if (value === undefined) return undefined
  const [, quoted, bare] = /^(?:"((?:[ !#-[\]-~]|\\["\\])*)"|([!#-~]+))$/.exec(String(value)) ?? []
  const key = quoted?.replaceAll(/\\(.)/g, '$1') ?? bare
  if (!key || key.length > 255) {
    throw invalidField(
      'invalid-header',
      '/idempotency-key',
      'must be 1 to 255 printable characters, bare or as a quoted string',
    )
  }
  return key
}
