/** Whole numbers by text, for millions of texts: 20 bytes and some room for each, where a Map needs a hundred and more. */
import { hash } from 'node:crypto'

/** Texts are known by 128 bits of their SHA-256. */
export interface DigestTable {
  readonly get: (text: string) => number | undefined
  /** @param value 0 to 2^32 − 2. */
  readonly set: (text: string, value: number) => void
  readonly size: () => number
  /** What `digestTable` makes the same table of. */
  readonly bytes: () => Buffer
}

const keyWords = 4
const slotWords = keyWords + 1
const firstSlots = 1024
/** Beyond it, the search for an empty slot becomes long. */
const fullest = 0.7

/** @param kept of `bytes`. @throws RangeError where they are cut short. */
export function digestTable(kept: Buffer = Buffer.alloc(0)): DigestTable {
  if (kept.length % (slotWords * 4) !== 0) throw new RangeError('the table is cut short')
  const count = kept.length / (slotWords * 4)
  let slots = firstSlots
  while (count > slots * fullest) slots *= 2
  let words = new Uint32Array(slots * slotWords)
  let used = 0
  const key = new Uint32Array(keyWords)
  for (let at = 0; at < kept.length; at += slotWords * 4) {
    for (let word = 0; word < keyWords; word += 1) key[word] = kept.readUInt32LE(at + word * 4)
    put(kept.readUInt32LE(at + keyWords * 4))
  }

  return {
    get(text) {
      digest(text)
      const stored = words[slotOf() + keyWords] ?? 0
      return stored === 0 ? undefined : stored - 1
    },
    set(text, value) {
      digest(text)
      put(value + 1)
      if (used > slots * fullest) grow()
    },
    size: () => used,
    bytes() {
      const bytes = Buffer.allocUnsafe(used * slotWords * 4)
      let at = 0
      for (let slot = 0; slot < words.length; slot += slotWords) {
        if (words[slot + keyWords] === 0) continue
        for (let word = 0; word < slotWords; word += 1) at = bytes.writeUInt32LE(words[slot + word] ?? 0, at)
      }
      return bytes
    },
  }

  function digest(text: string): void {
    const bytes = hash('sha256', text, 'buffer')
    for (let word = 0; word < keyWords; word += 1) key[word] = bytes.readUInt32LE(word * 4)
  }

  /** Where the key is, or would be: linear probing. Values are kept as one more, so that 0 is an empty slot. */
  function slotOf(): number {
    let slot = (key[0] ?? 0) & (slots - 1)
    for (;;) {
      const at = slot * slotWords
      if (words[at + keyWords] === 0 || holdsKey(at)) return at
      slot = (slot + 1) & (slots - 1)
    }
  }

  function holdsKey(at: number): boolean {
    for (let word = 0; word < keyWords; word += 1) if (words[at + word] !== key[word]) return false
    return true
  }

  function put(stored: number): void {
    const at = slotOf()
    if (words[at + keyWords] === 0) used += 1
    words.set(key, at)
    words[at + keyWords] = stored
  }

  function grow(): void {
    const old = words
    slots *= 2
    used = 0
    words = new Uint32Array(slots * slotWords)
    for (let at = 0; at < old.length; at += slotWords) {
      const stored = old[at + keyWords] ?? 0
      if (stored === 0) continue
      key.set(old.subarray(at, at + keyWords))
      put(stored)
    }
  }
}
