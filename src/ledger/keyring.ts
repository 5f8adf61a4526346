import { createCipheriv, createDecipheriv, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { Keyring } from './ledger.ts'
import { randomness } from './randomness.ts'

/** LEDGER_SECRET, or an earlier one, with its number. */
export interface VersionedSecret {
  /** Counts up with each rotation, from 1. */
  readonly version: number
  readonly value: string
}

export interface Secrets {
  readonly current: VersionedSecret
  /** Outputs made under these still verify. */
  readonly previous: readonly VersionedSecret[]
}

const keyBytes = 32
const wrapCipher = 'aes-256-gcm'
const nonceBytes = 12
const tagBytes = 16
const labelPrefix = 'incident-ledger/'

/**
 * Keys for each purpose, derived by HKDF-SHA-256 (RFC 5869) with the purpose as its label, so that no output for one purpose
 * says anything about another's.
 * @throws RangeError where two secrets have one version.
 */
export function openKeyring({ current, previous }: Secrets): Keyring {
  const secrets = new Map([current, ...previous].map(({ version, value }) => [version, value]))
  if (secrets.size !== previous.length + 1) throw new RangeError('two ledger secrets have the same version')
  const keys = new Map<string, Buffer>()

  function keyUnder(version: number, purpose: string): Buffer | undefined {
    const secret = secrets.get(version)
    if (secret === undefined) return undefined
    const name = `${version}/${purpose}`
    const key = keys.get(name) ?? derivedKey(secret, purpose)
    keys.set(name, key)
    return key
  }

  function macUnder(version: number, purpose: string, data: string | Uint8Array): Buffer | undefined {
    const key = keyUnder(version, purpose)
    return key && createHmac('sha256', key).update(data).digest()
  }

  function mac(purpose: string, data: string | Uint8Array): Buffer {
    const output = macUnder(current.version, purpose, data)
    if (!output) throw new Error('the keyring has lost its current secret')
    return output
  }

  return {
    mac,
    everyMac: (purpose, data) =>
      [...secrets.keys()].flatMap((version) => macUnder(version, purpose, data) ?? []),
    wrap: (purpose, place, secret) => {
      const key = keyUnder(current.version, purpose)
      if (!key) throw new Error('the keyring has lost its current secret')
      const nonce = randomness(nonceBytes)
      const encryption = createCipheriv(wrapCipher, key, nonce, { authTagLength: tagBytes })
      encryption.setAAD(Buffer.from(place))
      const wrapped = [nonce, encryption.update(secret), encryption.final(), encryption.getAuthTag()]
      return `${current.version}.${Buffer.concat(wrapped).toString('base64url')}`
    },
    isCurrent: (wrapped) => wrapped.startsWith(`${current.version}.`),
    unwrap: (purpose, place, wrapped) => {
      const [version = '', encoded = ''] = wrapped.split('.')
      const key = /^\d{1,15}$/.test(version) ? keyUnder(Number(version), purpose) : undefined
      const bytes = Buffer.from(encoded, 'base64url')
      if (key === undefined || bytes.length < nonceBytes + tagBytes) return undefined
      const options = { authTagLength: tagBytes }
      const decryption = createDecipheriv(wrapCipher, key, bytes.subarray(0, nonceBytes), options)
      decryption.setAAD(Buffer.from(place))
      decryption.setAuthTag(bytes.subarray(bytes.length - tagBytes))
      try {
        const opened = decryption.update(bytes.subarray(nonceBytes, bytes.length - tagBytes))
        return Buffer.concat([opened, decryption.final()])
      } catch {
        return undefined
      }
    },
    sign: (purpose, data) => `${current.version}.${mac(purpose, data).toString('base64url')}`,
    verify: (purpose, data, signature) => {
      const [version = '', ...encoded] = signature.split('.')
      const expected = /^\d{1,15}$/.test(version) ? macUnder(Number(version), purpose, data) : undefined
      const given = Buffer.from(encoded.join('.'), 'base64url')
      return expected !== undefined && given.length === expected.length && timingSafeEqual(given, expected)
    },
  }
}

function derivedKey(secret: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `${labelPrefix}${purpose}`, keyBytes))
}
