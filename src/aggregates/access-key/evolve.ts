import type { AccessKeyEvent } from './events.ts'
import { type AccessKey, type AccessKeyState, isIssued } from './state.ts'
import type { AccessKeyId } from './values.ts'

/**
 * The state after one more event of the key `id`. Pure, and total for every history that `decideAccessKey` can write.
 * @throws RangeError where the history is none: it does not begin with the issue, or has a second one.
 */
export function evolveAccessKey(id: AccessKeyId, state: AccessKeyState, event: AccessKeyEvent): AccessKey {
  const { recordedAt } = event
  if (event.type === 'AccessKeyIssued') {
    if (isIssued(state)) throw new RangeError(`access key ${id} was issued twice`)
    return { ...event.data, id, status: 'active', issuedAt: recordedAt, updatedAt: recordedAt, revision: 0 }
  }
  if (!isIssued(state)) throw new RangeError(`the history of access key ${id} does not begin with its issue`)
  return { ...state, ...changed(event), updatedAt: recordedAt, revision: state.revision + 1 }
}

function changed(event: Exclude<AccessKeyEvent, { type: 'AccessKeyIssued' }>): Partial<AccessKey> {
  switch (event.type) {
    case 'AccessKeyRenamed':
      return { name: event.data.to }
    case 'AccessKeyRescoped':
      return { scopes: event.data.to }
    case 'AccessKeyExpirySet':
      return { expiresAt: event.data.to }
    case 'AccessKeyRevoked':
      return { status: 'revoked' }
    default:
      return event satisfies never
  }
}
