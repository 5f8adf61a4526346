/** Each signature is taken once: its nonce is remembered until the signature itself is too old. */
export interface Nonces {
  /**
   * Whether this key uses the nonce for the first time, in this and in every other process. Answered at once where this process knows it by
   * itself. `createdMs`: of the signature, since the Unix epoch. `keepMs`: how long it is to be remembered from now on, at most
   * `longestKeptMs`. Rejects where it cannot be found out, as for a signature from before the memory began: then the request must be refused.
   */
  readonly use: (
    keyId: string,
    nonce: string,
    createdMs: number,
    keepMs: number,
  ) => boolean | Promise<boolean>
  readonly close: () => Promise<void>
}

/** How old a signature may be. */
export const windowMs = 300_000
/** How far ahead of ours a caller's clock may be. */
export const aheadMs = 10_000
/** What the clocks of several processes may differ by, or one be set back: so much longer are nonces remembered. */
export const marginMs = 60_000
export const longestKeptMs = windowMs + aheadMs + marginMs

/** Of a signature from before the memory began: it may have been used then. */
export const notRemembered = () => new Error('the nonces of signatures of that time are not remembered')
