/** A nonce that a key uses. */
export interface NonceUse {
  readonly keyId: string
  readonly nonce: string
  readonly keepMs: number
}

/** Nonces as pairs of a key's id and a nonce. */
export type NoncePairs = Iterable<readonly [keyId: string, nonce: string]>

/** What a process is told that wants to use nonces; `held`: another one holds the lease, which now knows that it is not alone. */
export type UseAnswer =
  | { readonly held: true }
  | {
      readonly held: false
      /** When the memory began, since the Unix epoch. */
      readonly begunMs: number
      /** Of each use, whether it was the first. */
      readonly fresh: readonly boolean[]
    }

export interface Renewal {
  /** Until when the lease now lasts, by the store's clock. Within a lease it never runs backwards. */
  readonly endMs: number
  readonly begunMs: number
  /** Whether another process has asked for the memory lately. */
  readonly isWanted: boolean
}

/**
 * The memory of nonces that all processes share, in Postgres or in Redis, and the lease of it. Each function is one step, done as a whole
 * or not at all, after the steps before it and before those after it. All of them reject where the store does not answer.
 */
export interface SharedNonces {
  /**
   * Uses these, of which no two are the same, and lets the others know that this process wants the memory. Where the lease of another process
   * has run out, this ends it: then the memory vouches for nothing any more that was created before the end of that lease.
   */
  readonly use: (uses: readonly NonceUse[]) => Promise<UseAnswer>
  /** Takes the lease for `leaseMs`, if nobody has it and no other process wanted the memory for `quietMs`. Whatever was used before is there by then. */
  readonly lease: () => Promise<boolean>
  /** Undefined where this process does not have the lease, or the memory was lost. */
  readonly renew: () => Promise<Renewal | undefined>
  /** All that are remembered, a page at a time. */
  readonly living: () => AsyncIterable<NoncePairs>
  /** Remembers these, whoever has the lease. */
  readonly keep: (
    pairs: readonly (readonly [keyId: string, nonce: string])[],
    keepMs: number,
  ) => Promise<void>
  /** Gives the lease up, if this process has it. */
  readonly release: () => Promise<void>
  /** Has the others know, if the store answers, that this process is gone. */
  readonly close: () => Promise<void>
}

/** How long a lease lasts that is not renewed. Shorter than `aheadMs`: see nonce-lease.ts, 5. */
export const leaseMs = 3_000
/** For so long no other process may have wanted the memory before one has it for itself. */
export const quietMs = 300_000
