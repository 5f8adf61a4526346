import { createHash, createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { digestMatches } from '../../../src/http/signed-requests/content-digest.ts'
import {
  isSignedWith,
  missingComponent,
  SignatureError,
  type SignedMessage,
  signatureBase,
  signaturesOf,
} from '../../../src/http/signed-requests/signature.ts'

test('the base and the signature of RFC 9421, B.2.5', () => {
  const message: SignedMessage = {
    method: 'POST',
    targetUris: ['https://example.com/foo?param=Value&Pet=dog'],
    headers: { date: 'Tue, 20 Apr 2021 02:07:55 GMT', 'content-type': 'application/json' },
    hasBody: true,
  }
  const parameters = '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"'
  const components = ['date', '@authority', 'content-type']
  const base = signatureBase(
    { components, parameters },
    message,
    'https://example.com/foo?param=Value&Pet=dog',
  )
  expect(base).toBe(
    '"date": Tue, 20 Apr 2021 02:07:55 GMT\n"@authority": example.com\n"content-type": application/json\n' +
      `"@signature-params": ${parameters}`,
  )
  const key = Buffer.from(
    'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==',
    'base64',
  )
  expect(createHmac('sha256', key).update(base).digest('base64')).toBe(
    'pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=',
  )
})

const uri = 'https://ledger.example/incidents?x=1'
const complete = ['@method', '@target-uri', 'content-type', 'content-digest']

function signed(
  components: readonly string[] = complete,
  {
    parameters = ';created=1700000000;keyid="k";nonce="0123456789abcdef";alg="hmac-sha256"',
    key = 'secret',
  } = {},
): SignedMessage {
  const said = `(${components.map((name) => (name.includes(';') ? name : `"${name}"`)).join(' ')})${parameters}`
  const message: SignedMessage = {
    method: 'POST',
    targetUris: ['http://127.0.0.1:3003/incidents?x=1', uri],
    headers: {
      'content-type': 'application/json',
      'content-digest': 'sha-256=:AAAA:',
      'idempotency-key': 'once',
    },
    hasBody: true,
  }
  const covered = { components: components.filter((name) => !name.includes(';')), parameters: said }
  const base = signatureBase(covered, { ...message, headers: { ...message.headers, 'x-absent': '' } }, uri)
  const signature = createHmac('sha256', key).update(base).digest('base64')
  return {
    ...message,
    headers: { ...message.headers, 'signature-input': `sig=${said}`, signature: `sig=:${signature}:` },
  }
}

describe('a signature', () => {
  test('holds under its key, at whichever of the addresses it was made for', () => {
    const message = signed()
    const [candidate] = signaturesOf(message.headers)
    expect(candidate).toMatchObject({
      keyId: 'k',
      createdS: 1_700_000_000,
      nonce: '0123456789abcdef',
      components: complete,
    })
    expect(candidate && isSignedWith(candidate, message, ['another', 'secret'])).toBe(true)
    expect(candidate && isSignedWith(candidate, message, ['another'])).toBe(false)
  })

  test.each([
    ['the method', { method: 'PATCH' }],
    ['the address', { targetUris: ['https://ledger.example/incidents?x=2'] }],
    ['a header', { headers: { 'content-type': 'text/plain' } }],
    ['the digest', { headers: { 'content-digest': 'sha-256=:AAAB:' } }],
  ])('does not hold after %s was changed', (_, change) => {
    const message = signed()
    const altered = {
      ...message,
      ...change,
      headers: { ...message.headers, ...('headers' in change && change.headers) },
    }
    const [candidate] = signaturesOf(altered.headers)
    expect(candidate && isSignedWith(candidate, altered, ['secret'])).toBe(false)
  })

  test.each([
    [complete.slice(1), '@method'],
    [complete.filter((name) => name !== '@target-uri'), '@target-uri'],
    [complete.slice(0, 3), 'content-digest'],
    [complete, 'idempotency-key'],
    [[...complete, 'idempotency-key'], undefined],
  ])('over %j lacks %s', (components, missing) => {
    const message = signed(components)
    const [candidate] = signaturesOf(message.headers)
    expect(candidate && missingComponent(candidate, message)).toBe(missing)
  })

  test('over a header that is not there is refused', () => {
    const message = signed([...complete, 'x-absent'])
    const [candidate] = signaturesOf(message.headers)
    expect(() => candidate && isSignedWith(candidate, message, ['secret'])).toThrow('covers x-absent')
  })

  test.each([
    [
      'an unknown parameter',
      complete,
      ';created=1700000000;keyid="k";nonce="0123456789abcdef";colour="red"',
      'colour',
    ],
    [
      'another algorithm',
      complete,
      ';created=1700000000;keyid="k";nonce="0123456789abcdef";alg="rsa-v1_5-sha256"',
      'alg must be',
    ],
    ['no time', complete, ';keyid="k";nonce="0123456789abcdef"', 'created'],
    ['a fraction of a time', complete, ';created=1.5;keyid="k";nonce="0123456789abcdef"', 'created'],
    ['no key', complete, ';created=1700000000;nonce="0123456789abcdef"', 'keyid'],
    ['no nonce', complete, ';created=1700000000;keyid="k"', 'nonce'],
    ['a short nonce', complete, ';created=1700000000;keyid="k";nonce="1"', 'nonce'],
    [
      'a component with parameters',
      ['"content-digest";bs'],
      ';created=1700000000;keyid="k";nonce="0123456789abcdef"',
      'parameters of components',
    ],
    [
      'a component twice',
      ['@method', '@method'],
      ';created=1700000000;keyid="k";nonce="0123456789abcdef"',
      'twice',
    ],
  ])('with %s is refused', (_, components, parameters, why) => {
    expect(() => signaturesOf(signed(components, { parameters }).headers)).toThrow(why)
  })

  test('over a component that we do not derive is refused', () => {
    const headers = {
      'signature-input': 'sig=("@status");created=1700000000;keyid="k";nonce="0123456789abcdef"',
      signature: 'sig=:AAAA:',
    }
    expect(() => signaturesOf(headers)).toThrow('@status is not taken')
  })
})

test('an unsigned request has no signatures, and half a signature is none', () => {
  expect(signaturesOf({})).toEqual([])
  expect(() => signaturesOf({ signature: 'sig=:AAAA:' })).toThrow(SignatureError)
  expect(() => signaturesOf({ 'signature-input': 'sig=()', signature: '' })).toThrow(SignatureError)
  expect(() => signaturesOf({ 'signature-input': '', signature: '' })).toThrow('names no signature')
  expect(() => signaturesOf({ 'signature-input': '((', signature: 'sig=:AAAA:' })).toThrow('no dictionary')
})

test('several signatures are read, and not more than four', () => {
  const { headers } = signed()
  const input = headers['signature-input']?.slice(4) ?? ''
  const value = headers.signature?.slice(4) ?? ''
  const labelled = (count: number, text: string) =>
    Array.from({ length: count }, (_, at) => `s${at}=${text}`).join(', ')
  expect(signaturesOf({ 'signature-input': labelled(4, input), signature: labelled(4, value) })).toHaveLength(
    4,
  )
  expect(() =>
    signaturesOf({ 'signature-input': labelled(5, input), signature: labelled(5, value) }),
  ).toThrow('at most 4')
})

describe('a content digest', () => {
  const body = Buffer.from('{"hello": "world"}')
  const sha256 = createHash('sha256').update(body).digest('base64')
  const sha512 = createHash('sha512').update(body).digest('base64')

  test('is of the bytes, in either algorithm', () => {
    expect(sha256).toBe('X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=') // the example of RFC 9530
    expect(digestMatches(`sha-256=:${sha256}:`, body)).toBe(true)
    expect(digestMatches(`sha-512=:${sha512}:, sha-256=:${sha256}:, md5=:AAAA:`, body)).toBe(true)
  })

  test.each([
    '',
    'md5=:AAAA:',
    'sha-256',
    `sha-256="${sha256}"`,
    `sha-256=:${sha512}:`,
    `sha-256=:${sha256}:, sha-512=:${sha256}:`,
    '((',
  ])('«%s» is none of them', (wrong) => expect(digestMatches(wrong, body)).toBe(false))

  test('is of other bytes where one is changed', () => {
    expect(digestMatches(`sha-256=:${sha256}:`, Buffer.from('{"hello": "World"}'))).toBe(false)
  })
})

test.each(['constructor', '__proto__'])('a signature over %s, which no request has, is refused', (name) => {
  const message = signed()
  const candidate = { components: [name], parameters: '' }
  expect(() => signatureBase(candidate, message, uri)).toThrow(`covers ${name}`)
})
