import type { AccessKeyId, Scope } from './values.ts'

export interface Unissued {
  readonly status: 'unissued'
}

export interface AccessKey {
  /** `active` keys may still have expired: see `standingAt`. */
  readonly status: 'active' | 'revoked'
  readonly id: AccessKeyId
  readonly name: string
  /** SHA-256 of the key, in hex. */
  readonly digest: string
  readonly scopes: readonly Scope[]
  readonly expiresAt: string | null
  readonly requiresSignature: boolean
  readonly issuedAt: string
  /** Of the last event. */
  readonly updatedAt: string
  /** Of the last event, 0 for the first. */
  readonly revision: number
}

export type AccessKeyState = Unissued | AccessKey

export const unissued: Unissued = { status: 'unissued' }

export function isIssued(state: AccessKeyState): state is AccessKey {
  return state.status !== 'unissued'
}

/** How the key stands at the moment, ISO 8601 in UTC with milliseconds: only an active one opens anything. */
export function standingAt({ status, expiresAt }: AccessKey, now: string): AccessKey['status'] | 'expired' {
  return status === 'active' && expiresAt !== null && expiresAt <= now ? 'expired' : status
}
