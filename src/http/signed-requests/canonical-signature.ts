import { LRUCache } from 'lru-cache'
import type { CandidateSignature } from './signature.ts'
import { algorithm, hasNonceLength, isTaken } from './signature-terms.ts'

/** What precedes the parameters: `sig=("@method" "@target-uri")`. A client sends the same ones again and again. */
interface Covered {
  readonly label: string
  readonly components: readonly string[]
}

const covered = new LRUCache<string, Covered>({ max: 256 })
const longestKept = 512
const coveredForm = /^([a-z*][a-z0-9_.*-]*)=\(("[^"]+"(?: "[^"]+")*)\)$/
const signatureForm = /^[A-Za-z0-9+/]{43}=$/

/**
 * The one signature of a request in the form in which nearly all are sent: written as RFC 8941 serializes it, with nothing in it that we do
 * not take. It is read an order of magnitude faster than any that is allowed. Undefined for every other: it must be parsed,
 * and whoever refuses it then says why.
 */
export function canonicalSignature(input: string, values: string): CandidateSignature | undefined {
  if (/[^ -~]|\\/.test(input)) return undefined
  const listEnd = input.indexOf(')') + 1
  const cover = coveredBy(input.slice(0, listEnd))
  if (!cover) return undefined
  const { label, components } = cover

  let keyId: string | undefined
  let created: number | undefined
  let expires: number | undefined
  let nonce: string | undefined
  let alg: string | undefined
  let tag: string | undefined
  let at = listEnd
  while (at < input.length) {
    const equals = input.indexOf('=', at)
    if (equals < 0 || input[at] !== ';') return undefined
    const name = input.slice(at + 1, equals)
    if (name === 'created' || name === 'expires') {
      at = endOfDigits(input, equals + 1)
      const digits = input.slice(equals + 1, at)
      if (digits === '' || digits.length > 15 || (digits.length > 1 && digits[0] === '0')) return undefined
      if (name === 'created' && created === undefined) created = Number(digits)
      else if (name === 'expires' && expires === undefined) expires = Number(digits)
      else return undefined
      continue
    }
    const end = input.indexOf('"', equals + 2)
    if (end < 0 || input[equals + 1] !== '"') return undefined
    const value = input.slice(equals + 2, end)
    at = end + 1
    if (name === 'keyid' && keyId === undefined) keyId = value
    else if (name === 'nonce' && nonce === undefined) nonce = value
    else if (name === 'alg' && alg === undefined) alg = value
    else if (name === 'tag' && tag === undefined) tag = value
    else return undefined
  }
  if (keyId === undefined || created === undefined || nonce === undefined) return undefined
  if (!hasNonceLength(nonce) || (alg !== undefined && alg !== algorithm)) return undefined

  const signature = onlyValue(label, values)
  if (signature === undefined) return undefined
  const parameters = input.slice(label.length + 1)
  return { keyId, createdS: created, expiresS: expires, nonce, components, parameters, signature }
}

function coveredBy(text: string): Covered | undefined {
  const known = covered.get(text)
  if (known) return known
  const [, label, list] = coveredForm.exec(text) ?? []
  if (label === undefined || list === undefined) return undefined
  const components = list.slice(1, -1).split('" "')
  if (new Set(components).size !== components.length) return undefined
  if (!components.every((name) => name === name.toLowerCase() && isTaken(name))) return undefined
  const found = { label, components }
  if (text.length <= longestKept) covered.set(text, found)
  return found
}

function endOfDigits(text: string, from: number): number {
  let at = from
  for (;;) {
    const code = text.charCodeAt(at)
    if (!(code >= 0x30 && code <= 0x39)) return at
    at += 1
  }
}

/** The bytes of `label=:…:`, where nothing else is there. */
function onlyValue(label: string, values: string): Buffer | undefined {
  const start = label.length + 2
  if (!values.startsWith(label) || !values.startsWith('=:', label.length) || !values.endsWith(':'))
    return undefined
  const text = values.slice(start, -1)
  return signatureForm.test(text) ? Buffer.from(text, 'base64') : undefined
}
