/** A key that opens the service, as far as it is known here: never the key itself. */
export const scopes = ['read', 'write', 'audit', 'admin'] as const
export type Scope = (typeof scopes)[number]

export interface AccessKey {
  /** Public, and the same for ever: the scope of idempotency keys, and the actor of events. */
  readonly id: string
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
  readonly expiresAtMs: number | undefined
}

/** The id under which X_ACCESS_KEY acts. */
export const configuredKeyId = 'x-access-key'
