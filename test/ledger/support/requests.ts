import pino from 'pino'
import { type ReportBody, reportBody } from '../../../src/aggregates/incident/index.ts'
import type { Actor } from '../../../src/ledger/event.ts'
import type { EventStore } from '../../../src/ledger/event-store.ts'
import type { CommandContext, Ledger } from '../../../src/ledger/ledger.ts'
import { type LedgerOptions, openLedgerOn } from '../../../src/ledger/open.ts'

export const silent = pino({ level: 'silent' })
export const secret = { current: { version: 1, value: 'a secret of a test' }, previous: [] }
export const actor: Actor = { kind: 'access-key', id: 'key-1', name: 'Night shift' }

export function ledgerOn(store: EventStore, options: Partial<LedgerOptions> = {}): Promise<Ledger> {
  return openLedgerOn(store, { secret, log: silent, ...options })
}

export function report(body: Partial<ReportBody> = {}, origin = 'key-1') {
  return {
    body: reportBody.parse({ description: 'The disk is full', source: 'monitoring', ...body }),
    origin,
  }
}

export function context(more: Partial<CommandContext> = {}): CommandContext {
  return { actor, correlationId: 'a request', ...more }
}

/** With an idempotency key; `request` is what was asked. */
export function keyed(
  key: string,
  request: unknown = 'a request',
  more: Partial<CommandContext> = {},
): CommandContext {
  return context({ ...more, idempotency: { scope: 'key-1', key, request } })
}

export function pinned(key: string, request: unknown = 'a request'): CommandContext {
  return context({ idempotency: { scope: 'key-1', key, request, pinned: true } })
}

/** The fault that a command ends with. */
export async function faultOf(command: Promise<unknown>): Promise<unknown> {
  return command.then(
    (answer) => ({ answer }),
    (error: unknown) => (error instanceof Error && 'fault' in error ? error.fault : error),
  )
}
