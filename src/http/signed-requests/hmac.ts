import { createHash, hash } from 'node:crypto'

/** A key of HMAC-SHA-256 (RFC 2104), with what is made of it alone made once. */
export interface HmacKey {
  /** The key, padded, as each of the two hashes begins with it. */
  readonly inner: Uint8Array
  readonly outer: Uint8Array
}

const blockBytes = 64
const digestBytes = 32

export function hmacKey(key: string | Uint8Array): HmacKey {
  const bytes = Buffer.from(key)
  const block = Buffer.alloc(blockBytes)
  block.set(bytes.length > blockBytes ? createHash('sha256').update(bytes).digest() : bytes)
  return { inner: block.map((byte) => byte ^ 0x36), outer: block.map((byte) => byte ^ 0x5c) }
}

let innerInput = Buffer.allocUnsafe(4_096)
const outerInput = Buffer.allocUnsafe(blockBytes + digestBytes)

/**
 * Writes the 32 bytes of the HMAC of this text, in UTF-8, into `digest`. By two hashes in one call each: an Hmac object of Node's costs
 * four times as much, most of it for the object.
 */
export function writeHmac({ inner, outer }: HmacKey, text: string, digest: Buffer): void {
  // A character of a string has at most three bytes.
  const longest = blockBytes + 3 * text.length
  if (innerInput.length < longest) innerInput = Buffer.allocUnsafe(2 * longest)
  innerInput.set(inner)
  const end = blockBytes + innerInput.write(text, blockBytes)
  outerInput.set(outer)
  outerInput.write(hash('sha256', innerInput.subarray(0, end), 'hex'), blockBytes, 'hex')
  digest.write(hash('sha256', outerInput, 'hex'), 0, 'hex')
}
