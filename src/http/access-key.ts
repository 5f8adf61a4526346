/** A key that opens the service, as far as it is known here: never the key itself. */
import { type Scope, scopes } from '../aggregates/access-key/index.ts'

export { type Scope, scopes }

export interface AccessKey {
  /** Public, and the same for ever: the scope of idempotency keys, and the actor of events. */
  readonly id: string
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
  readonly expiresAtMs: number | undefined
  /** Whether it opens nothing but to signed requests. */
  readonly requiresSignature: boolean
}

/** The id under which X_ACCESS_KEY acts. */
export const configuredKeyId = 'x-access-key'
