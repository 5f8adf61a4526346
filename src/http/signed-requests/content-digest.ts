import { hash, timingSafeEqual } from 'node:crypto'
import { parseDictionary } from 'structured-headers'

/** The algorithms of RFC 9530 that are fit for use, by the name that Node has for them. */
const algorithms = new Map([
  ['sha-256', 'sha256'],
  ['sha-512', 'sha512'],
])

/** Whether every digest that we can check is of these bytes, and there is at least one (RFC 9530, section 2). */
export function digestMatches(contentDigest: string, bytes: Uint8Array): boolean {
  let checked = 0
  for (const [name, [value]] of entriesOf(contentDigest)) {
    const algorithm = algorithms.get(name)
    if (algorithm === undefined) continue
    if (!(value instanceof ArrayBuffer)) return false
    const given = Buffer.from(value)
    const expected = hash(algorithm, bytes, 'buffer')
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return false
    checked += 1
  }
  return checked > 0
}

function entriesOf(contentDigest: string): ReturnType<typeof parseDictionary> {
  try {
    return parseDictionary(contentDigest)
  } catch {
    return new Map()
  }
}
