import { hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type EntrySource, entryOf, longestEntryBytes } from '../../src/ledger/entry.ts'

const stored: EntrySource = {
  stream: 'incident-01980d5e-5c00-7000-8000-5f0e1c2d3a4b',
  revision: 3,
  id: 'f3b0a2b4-1f7e-4e0e-9d5b-3c9a4d1e2f60',
  type: 'IncidentStatusChanged',
  data: { to: 'resolved', from: 'new' },
  metadata: {
    schemaVersion: 1,
    $correlationId: 'c',
    sealed: { key: 'k.1', commitments: { reason: 'abc' }, box: 'AAAA' },
  },
}

const sha256 = (bytes: string | Uint8Array) => ({ sha256: hash('sha256', bytes, 'base64') })
const read = (entry: string) => JSON.parse(entry)

test('an entry is the stored event in canonical JSON, without the box', () => {
  expect(entryOf(stored)).toBe(
    '{"data":{"from":"new","to":"resolved"},"id":"f3b0a2b4-1f7e-4e0e-9d5b-3c9a4d1e2f60","metadata":{"$correlationId":"c","schemaVersion":1,' +
      '"sealed":{"commitments":{"reason":"abc"},"key":"k.1"}},"revision":3,"stream":"incident-01980d5e-5c00-7000-8000-5f0e1c2d3a4b",' +
      '"type":"IncidentStatusChanged"}',
  )
})

test('an erasure, which changes the box or removes it, changes no entry', () => {
  const { sealed } = stored.metadata as { sealed: { box: string } } // as it is given above
  const other = { ...stored, metadata: { ...Object(stored.metadata), sealed: { ...sealed, box: 'BBBB' } } }
  expect(entryOf(other)).toEqual(entryOf(stored))
})

const wellFormed = fc.string({ unit: 'binary' })
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    wellFormed,
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(wellFormed, tie('json'), { maxKeys: 5 }),
  ),
}))

test('whatever is I-JSON stands in it as the library for RFC 8785 writes it', () =>
  fc.assert(
    fc.property(
      fc.dictionary(wellFormed, json),
      fc.dictionary(wellFormed, json),
      wellFormed,
      (data, metadata, type) => {
        const event = { ...stored, type, data, metadata }
        const expected = canonicalize(event) ?? ''
        fc.pre(Buffer.byteLength(expected) <= longestEntryBytes && !('sealed' in metadata))
        expect(entryOf(event)).toBe(expected)
      },
    ),
    { numRuns: 500 },
  ))

test.for([
  ['bytes', Buffer.of(1, 2, 3), Buffer.of(1, 2, 3)],
  ['nothing', undefined, ''],
  ['text that is no JSON', '{"a":', '{"a":'],
  ['a lone surrogate', { text: '\ud800' }, '{"text":"\\ud800"}'],
  ['a lone surrogate in a name', { '\udc00': 1 }, '{"\\udc00":1}'],
  ['a number beyond what a double holds', { n: Number.POSITIVE_INFINITY }, '{"n":null}'],
  [
    'what would make the entry too long',
    { text: 'x'.repeat(longestEntryBytes) },
    `{"text":"${'x'.repeat(longestEntryBytes)}"}`,
  ],
] as const)('of %s the SHA-256 stands in the entry', ([, data, bytes]) => {
  expect(read(entryOf({ ...stored, data })).data).toEqual(sha256(bytes))
})

test('metadata that are no JSON are told by their SHA-256 too', () => {
  expect(read(entryOf({ ...stored, metadata: Buffer.from('{') })).metadata).toEqual(sha256('{'))
})

test('nesting without end is not followed', () => {
  const deep = JSON.parse(`${'['.repeat(1_000)}${']'.repeat(1_000)}`)
  expect(read(entryOf({ ...stored, data: { deep } })).data).toEqual(sha256(JSON.stringify({ deep })))
})

test('no entry is longer than the longest, whatever the event is called', () => {
  const long = { ...stored, type: 'T'.repeat(longestEntryBytes), data: {} }
  expect(entryOf(long).length).toBeLessThan(200)
  expect(entryOf({ ...long, type: `${long.type}T` })).not.toEqual(entryOf(long))
})
