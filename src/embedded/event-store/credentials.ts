import { createHash, timingSafeEqual } from 'node:crypto'
import { type Metadata, type StatusObject, status } from '@grpc/grpc-js'
import { failure } from './refusals.ts'

/** EventStoreDB's administrator, the one user of this node. */
const USERNAME = 'admin'

/** Says why a call may not be made, or undefined when it may. */
export type CheckLogin = (metadata: Metadata) => StatusObject | undefined

/**
 * Checks a call's `authorization: Basic …`. Without a password any login is taken, and none is needed. The answers are
 * EventStoreDB's: UNAUTHENTICATED for a wrong login, access denied for none.
 */
export function createLoginCheck(password: string | undefined): CheckLogin {
  if (password === undefined) return () => undefined
  const expected = digest(`${USERNAME}:${password}`)
  return (metadata) => {
    const [given] = metadata.get('authorization')
    if (given === undefined) return denied
    const [, token] = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(given.toString()) ?? []
    const login = Buffer.from(token ?? '', 'base64').toString()
    return timingSafeEqual(digest(login), expected) ? undefined : wrongLogin
  }
}

/** Of equal length, as timingSafeEqual demands, whatever is compared. */
function digest(login: string): Buffer {
  return createHash('sha256').update(login).digest()
}

const denied = failure(status.PERMISSION_DENIED, 'this event store node asks for a login', {
  exception: 'access-denied',
})

const wrongLogin = failure(status.UNAUTHENTICATED, 'the user name or the password is wrong')
