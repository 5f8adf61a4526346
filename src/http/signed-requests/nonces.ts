/** Each signature is taken once: its nonce is remembered until the signature itself is too old. */
export interface Nonces {
  /**
   * Whether this key uses the nonce for the first time, in this and in every other process. `createdMs`: of the signature; one from
   * before the memory began cannot be vouched for, and counts as used. Rejects where it cannot be found out: then the request must be
   * refused.
   */
  readonly use: (keyId: string, nonce: string, createdMs: number, untilMs: number) => Promise<boolean>
  readonly close: () => Promise<void>
}
