import type { AccessKeyCommand, KeyRevisionBody } from './commands.ts'
import type { AccessKeyEvent } from './events.ts'
import { type AccessKey, type AccessKeyState, isIssued } from './state.ts'

/** Why a command cannot be done. */
export type AccessKeyRefusal =
  | { readonly code: 'access-key-not-found' }
  | { readonly code: 'access-key-exists' }
  | { readonly code: 'access-key-revoked' }
  | { readonly code: 'expiry-in-past' }

export type AccessKeyDecision =
  | { readonly ok: true; readonly events: readonly AccessKeyEvent[] }
  | { readonly ok: false; readonly refusal: AccessKeyRefusal }

/**
 * What follows from a command in a state at `now` (ISO 8601 in UTC with milliseconds): the events to append, or why not. Asking
 * for what already is, is success with no event. Pure and total. A revoked key stays so: another one is issued instead.
 */
export function decideAccessKey(
  command: AccessKeyCommand,
  state: AccessKeyState,
  now: string,
): AccessKeyDecision {
  if (command.type === 'Issue') return issue(command, state, now)
  if (!isIssued(state)) return refused({ code: 'access-key-not-found' })
  switch (command.type) {
    case 'Revise':
      return state.status === 'revoked'
        ? refused({ code: 'access-key-revoked' })
        : revise(command.body, state, now)
    case 'Revoke':
      return accepted(
        state.status === 'revoked' ? [] : [{ type: 'AccessKeyRevoked', data: {}, recordedAt: now }],
      )
    default:
      return command satisfies never
  }
}

function issue(
  { body, digest }: AccessKeyCommand & { type: 'Issue' },
  state: AccessKeyState,
  now: string,
): AccessKeyDecision {
  if (isIssued(state)) return refused({ code: 'access-key-exists' })
  if (body.expiresAt !== null && body.expiresAt <= now) return refused({ code: 'expiry-in-past' })
  return accepted([{ type: 'AccessKeyIssued', data: { ...body, digest }, recordedAt: now }])
}

/** One event for each kind of change that changes something. */
function revise(body: KeyRevisionBody, key: AccessKey, now: string): AccessKeyDecision {
  const { name = key.name, scopes = key.scopes, expiresAt = key.expiresAt } = body
  const events: AccessKeyEvent[] = []
  if (name !== key.name) {
    events.push({ type: 'AccessKeyRenamed', data: { from: key.name, to: name }, recordedAt: now })
  }
  if (scopes.join() !== key.scopes.join()) {
    const data = { from: [...key.scopes], to: [...scopes] }
    events.push({ type: 'AccessKeyRescoped', data, recordedAt: now })
  }
  if (expiresAt !== key.expiresAt) {
    if (expiresAt !== null && expiresAt <= now) return refused({ code: 'expiry-in-past' })
    const data = { from: key.expiresAt, to: expiresAt }
    events.push({ type: 'AccessKeyExpirySet', data, recordedAt: now })
  }
  return accepted(events)
}

const accepted = (events: readonly AccessKeyEvent[]): AccessKeyDecision => ({ ok: true, events })
const refused = (refusal: AccessKeyRefusal): AccessKeyDecision => ({ ok: false, refusal })
