import { createHmac, hkdfSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { openKeyring } from '../../src/ledger/keyring.ts'

const first = { version: 1, value: 'the first secret' }
const second = { version: 2, value: 'the second secret' }

test('a mac is HMAC-SHA-256 under a key that HKDF derives for its purpose', () => {
  const key = Buffer.from(hkdfSync('sha256', first.value, '', 'incident-ledger/a purpose', 32))
  const { mac } = openKeyring({ current: first, previous: [] })
  expect(mac('a purpose', 'data')).toEqual(createHmac('sha256', key).update('data').digest())
  expect(mac('another', 'data')).not.toEqual(mac('a purpose', 'data'))
})

test('what was signed before a rotation verifies after it, while the earlier secret is kept', () => {
  const signature = openKeyring({ current: first, previous: [] }).sign('p', 'data')
  const kept = openKeyring({ current: second, previous: [first] })
  expect(kept.verify('p', 'data', signature)).toBe(true)
  expect(kept.sign('p', 'data')).toMatch(/^2\.[A-Za-z0-9_-]{43}$/)
  expect(openKeyring({ current: second, previous: [] }).verify('p', 'data', signature)).toBe(false)
})

test.each([
  ['other data', (signature: string) => ['p', 'other', signature]],
  ['another purpose', (signature: string) => ['q', 'data', signature]],
  ['a version that is none', (signature: string) => ['p', 'data', signature.replace('1.', '9.')]],
  ['no version', (signature: string) => ['p', 'data', signature.slice(2)]],
  ['a part of it', (signature: string) => ['p', 'data', signature.slice(0, -4)]],
  ['nothing', () => ['p', 'data', '']],
] as const)('a signature does not verify with %s', (_, altered) => {
  const { sign, verify } = openKeyring({ current: first, previous: [] })
  const [purpose, data, signature] = altered(sign('p', 'data'))
  expect(verify(purpose ?? '', data ?? '', signature ?? '')).toBe(false)
})

test('two secrets of one version are refused', () => {
  expect(() => openKeyring({ current: first, previous: [{ ...second, version: 1 }] })).toThrow(RangeError)
})
