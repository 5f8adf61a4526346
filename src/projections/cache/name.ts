import { randomBytes } from 'node:crypto'

/** A name that was never used before and never will be again: 72 random bits, no space. */
export function freshName(): string {
  return randomBytes(9).toString('base64url')
}
