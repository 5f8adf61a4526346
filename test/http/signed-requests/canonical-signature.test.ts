import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalSignature } from '../../../src/http/signed-requests/canonical-signature.ts'
import { hmacKey, writeHmac } from '../../../src/http/signed-requests/hmac.ts'
import { parsedSignatures, SignatureError } from '../../../src/http/signed-requests/signature.ts'

const usual = {
  input:
    'sig=("@method" "@target-uri");created=1700000000;keyid="0197a5c0-0000-7000-8000-000000000001";nonce="0123456789abcdef"',
  values: 'sig=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:',
}

function parsed(input: string, values: string) {
  try {
    return parsedSignatures(input, values)
  } catch (error) {
    if (error instanceof SignatureError) return error
    throw error
  }
}

describe('what is read in the canonical form', () => {
  test('is the usual one, so that the quick way is the one taken', () => {
    const read = canonicalSignature(usual.input, usual.values)
    expect(read).toMatchObject({ createdS: 1_700_000_000, nonce: '0123456789abcdef' })
    expect([read]).toEqual(parsed(usual.input, usual.values))
  })

  test('is what the parser of RFC 8941 reads, and nothing that it refuses', () => {
    const piece = fc.constantFrom(
      ...[
        '"@method"',
        '"@target-uri"',
        '"@status"',
        '"content-digest"',
        '"Date"',
        '"a)b"',
        '""',
        '"x";bs',
        ' ',
      ],
    )
    const text = fc.oneof(
      fc.string({ minLength: 14, maxLength: 20 }),
      fc.constantFrom(
        'k',
        'hmac-sha256',
        '0123456789abcdef',
        'a\\"b',
        'a\\\\b'.padEnd(20, 'c'),
        'ü'.repeat(16),
      ),
    )
    const number = fc.constantFrom(
      '1700000000',
      '0',
      '01',
      '1.5',
      '-1',
      '999999999999999',
      '1234567890123456',
      '',
    )
    const parameter = fc.oneof(
      fc
        .tuple(fc.constantFrom('created', 'expires', 'nonce', 'colour'), number)
        .map((of) => `;${of.join('=')}`),
      fc
        .tuple(fc.constantFrom('keyid', 'nonce', 'alg', 'tag', 'created', 'colour'), text)
        .map(([name, value]) => `;${name}="${value}"`),
      fc.constantFrom(';tag', '; nonce="0123456789abcdef"', ';alg=hmac-sha256', ';created=1,b=()'),
    )
    const complete = fc
      .shuffledSubarray(
        [
          ';created=1700000000',
          ';keyid="k"',
          ';nonce="0123456789abcdef"',
          ';alg="hmac-sha256"',
          ';expires=7',
          ';tag="t"',
        ],
        {
          minLength: 3,
        },
      )
      .map((of) => of.join(''))
    const input = fc
      .tuple(
        fc.constantFrom('sig', 'sig', 'a-b', '*x', 'Sig', 's s', ''),
        fc.oneof(
          fc.array(piece, { maxLength: 4 }).map((of) => of.join(' ')),
          { arbitrary: fc.constant('"@method" "@target-uri"'), weight: 3 },
        ),
        fc.oneof(
          { arbitrary: complete, weight: 5 },
          fc.array(parameter, { maxLength: 5 }).map((of) => of.join('')),
          fc.tuple(complete, parameter).map((of) => of.join('')),
        ),
      )
      .map(([label, list, parameters]) => ({ label, input: `${label}=(${list})${parameters}` }))
    const base64 = fc.oneof(
      fc.constantFrom(
        'pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=',
        'pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE9=', // with bits that no byte has
        'pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8',
        'AAAA',
      ),
      fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('base64')),
    )
    let read = 0
    fc.assert(
      fc.property(
        input,
        base64,
        fc.constantFrom('', '', ';p', ', b=:AAAA:'),
        ({ label, input }, signature, rest) => {
          const values = `${label}=:${signature}:${rest}`
          const quick = canonicalSignature(input, values)
          if (!quick) return
          read += 1
          expect([quick]).toEqual(parsed(input, values))
        },
      ),
      { numRuns: 20_000 },
    )
    expect(read).toBeGreaterThan(300)
  })
})

test('the HMAC is that of Node, for keys and texts of every length', () => {
  const digest = Buffer.alloc(32)
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 150 }),
      fc.string({ unit: 'grapheme', maxLength: 6_000 }),
      (key, text) => {
        writeHmac(hmacKey(key), text, digest)
        expect(digest).toEqual(createHmac('sha256', key).update(text).digest())
      },
    ),
    { numRuns: 500 },
  )
})
