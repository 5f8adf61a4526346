import { randomInt } from 'node:crypto'

/**
 * Which nonces may have been seen, in memory that does not grow: a Bloom filter (Bloom 1970) whose bits for one nonce lie in one block of
 * 512, which is one line of a processor's cache (Putze, Sanders, Singler 2007). What was put in is always found, for at least `keptMs`.
 * What was not is found too, once in hundreds with a million nonces, once in tens with ten millions: whoever finds must ask further.
 */
export interface NonceSieve {
  /** Whether it may have been put in already; puts it in. */
  readonly put: (keyId: string, nonce: string, createdMs: number) => boolean
  /** Forgets what is old enough. To be called now and then. */
  readonly turn: () => void
  /** Signatures created up to then may have been forgotten, since the Unix epoch. */
  readonly forgottenMs: () => number
}

const blocks = 2 ** 17
const wordsOfBlock = 16
const hashEnd = 2 ** 32

interface Generation {
  readonly words: Uint32Array
  latestCreatedMs: number
}

/** @param now a clock that is never set, in ms. */
export function openNonceSieve(keptMs: number, now: () => number = () => performance.now()): NonceSieve {
  // Nobody can tell which nonces meet.
  const [seedA, seedB] = [randomInt(hashEnd), randomInt(hashEnd)]
  let current = generation()
  let former = generation()
  let turnedMs = now()
  let forgottenMs = Number.NEGATIVE_INFINITY

  return {
    put: (keyId, nonce, createdMs) => {
      let a = seedA
      let b = seedB
      for (let at = 0; at < keyId.length; at += 1) {
        const code = keyId.charCodeAt(at)
        a = Math.imul(a ^ code, 0x9e3779b1)
        b = Math.imul(b ^ code, 0x5f356495)
      }
      for (let at = 0; at < nonce.length; at += 1) {
        const code = nonce.charCodeAt(at)
        a = Math.imul(a ^ code, 0x9e3779b1)
        b = Math.imul(b ^ code, 0x5f356495)
      }
      a = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ (b >>> 13)
      b = Math.imul(b ^ (b >>> 16), 0xc2b2ae35) ^ (a >>> 13)
      const block = ((a >>> 0) % blocks) * wordsOfBlock
      const found = has(current.words, block, b) || has(former.words, block, b)
      // Three of the block's bits, each named by nine of b's.
      const { words } = current
      for (let shift = 0; shift < 27; shift += 9) {
        const bit = (b >>> shift) & 511
        words[block + (bit >>> 5)] = (words[block + (bit >>> 5)] ?? 0) | (1 << (bit & 31))
      }
      if (createdMs > current.latestCreatedMs) current.latestCreatedMs = createdMs
      return found
    },
    turn: () => {
      if (now() - turnedMs < keptMs) return
      turnedMs = now()
      forgottenMs = Math.max(forgottenMs, former.latestCreatedMs)
      former = current
      current = generation()
    },
    forgottenMs: () => forgottenMs,
  }
}

function has(words: Uint32Array, block: number, bits: number): boolean {
  for (let shift = 0; shift < 27; shift += 9) {
    const bit = (bits >>> shift) & 511
    if (((words[block + (bit >>> 5)] ?? 0) & (1 << (bit & 31))) === 0) return false
  }
  return true
}

function generation(): Generation {
  return { words: new Uint32Array(blocks * wordsOfBlock), latestCreatedMs: Number.NEGATIVE_INFINITY }
}
