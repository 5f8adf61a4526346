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

test('what is wrapped opens for its purpose and its place only, also after the secret was rotated', () => {
  const before = openKeyring({ current: { version: 1, value: 'the first secret' }, previous: [] })
  const wrapped = before.wrap('vault', 'a place', Buffer.from('a key'))
  const after = openKeyring({
    current: { version: 2, value: 'the second secret' },
    previous: [{ version: 1, value: 'the first secret' }],
  })
  expect(wrapped).toMatch(/^1\.[\w-]+$/)
  expect(after.wrap('vault', 'a place', Buffer.from('a key'))).toMatch(/^2\./)
  expect(after.unwrap('vault', 'a place', wrapped)).toEqual(Buffer.from('a key'))
  expect(after.unwrap('vault', 'another place', wrapped)).toBeUndefined()
  expect(after.unwrap('request', 'a place', wrapped)).toBeUndefined()
  expect(
    before.unwrap('vault', 'a place', after.wrap('vault', 'a place', Buffer.from('a key'))),
  ).toBeUndefined()
  for (const none of [
    '',
    '1',
    '1.',
    'x.AAAA',
    `${wrapped.slice(0, -1)}${wrapped.endsWith('A') ? 'B' : 'A'}`,
    '1.AAAA',
  ]) {
    expect(after.unwrap('vault', 'a place', none)).toBeUndefined()
  }
})

test('a mac is known under every secret, the current one first', () => {
  const rotated = openKeyring({
    current: { version: 2, value: 'the second secret' },
    previous: [{ version: 1, value: 'the first secret' }],
  })
  const first = openKeyring({ current: { version: 1, value: 'the first secret' }, previous: [] })
  expect(rotated.everyMac('p', 'data')).toEqual([rotated.mac('p', 'data'), first.mac('p', 'data')])
})
