/** Each signature is taken once: its nonce is remembered until the signature itself is too old. */
export interface Nonces {
  /**
   * Whether this key uses the nonce for the first time, in this and in every other process. `createdMs`: of the signature. Rejects where
   * it cannot be found out, as for a signature from before the memory began: then the request must be refused.
   */
  readonly use: (keyId: string, nonce: string, createdMs: number, untilMs: number) => Promise<boolean>
  readonly close: () => Promise<void>
}

/** How far ahead of ours a caller's clock may be. */
export const aheadMs = 10_000

/** @throws Error where a signature of that time may have been used before the memory began. */
export function requireRemembered(createdMs: number, memoryBegunMs: number): void {
  if (createdMs <= memoryBegunMs + aheadMs) {
    throw new Error('the nonces of signatures of that time are not remembered')
  }
}
