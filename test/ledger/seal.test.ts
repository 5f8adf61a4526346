import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  BrokenSeal,
  disclosuresOf,
  open,
  proves,
  type Seal,
  type SealContext,
  seal,
} from '../../src/ledger/seal.ts'

const context = {
  incidentId: '018bcfe5-6800-7000-8000-000000000001',
  eventId: '018bcfe5-6800-7000-8000-000000000002',
  keyId: '018bcfe5-6800-7000-8000-000000000003.7',
}
const dataKeyBytes = Buffer.alloc(32, 7)
const dataKey = createSecretKey(dataKeyBytes)

const values = fc.dictionary(
  fc.constantFrom('title', 'description', 'labels', 'assignee', 'actor.name'),
  fc.oneof(fc.string({ unit: 'grapheme' }), fc.constant(null), fc.dictionary(fc.string(), fc.string())),
)

test('what is sealed opens again', () => {
  fc.assert(
    fc.property(values, (said) => {
      const kept: Seal = JSON.parse(JSON.stringify(seal(said, context, dataKey)))
      expect(open(kept, context, dataKey)).toEqual(JSON.parse(JSON.stringify(said)))
    }),
  )
})

test('a flipped bit in the box, in a commitment, in the key or in the place is noticed', () => {
  const bit = fc.nat({ max: 1_000_000 })
  fc.assert(
    fc.property(
      values,
      fc.constantFrom('box', 'commitment', 'key', 'incidentId', 'eventId', 'keyId'),
      bit,
      (said, where, at) => {
        const whole = seal(said, context, dataKey)
        fc.pre(where !== 'commitment' || Object.keys(whole.commitments).length > 0)
        const altered: { sealed: Seal; context: SealContext; dataKey: KeyObject } = {
          sealed: whole,
          context,
          dataKey,
        }
        if (where === 'box') altered.sealed = { ...whole, box: flipped(whole.box, 'base64', at) }
        else if (where === 'commitment')
          altered.sealed = { ...whole, commitments: flippedOne(whole.commitments, at) }
        else if (where === 'key') altered.dataKey = createSecretKey(flippedBytes(dataKeyBytes, at))
        else altered.context = { ...context, [where]: `${context[where].slice(0, -1)}f` }
        expect(() => open(altered.sealed, altered.context, altered.dataKey)).toThrow(BrokenSeal)
      },
    ),
  )
})

test('a field that is left out or put in is noticed', () => {
  const whole = seal({ title: 'Outage', reason: 'none' }, context, dataKey)
  const { title: _, ...less } = whole.commitments
  expect(() => open({ ...whole, commitments: less }, context, dataKey)).toThrow('the box does not open')
  expect(() =>
    open({ ...whole, commitments: { ...less, heading: whole.commitments.title ?? '' } }, context, dataKey),
  ).toThrow('the box does not open')
})

test('a disclosure proves its own field and no other, and a flipped bit in it proves nothing', () => {
  fc.assert(
    fc.property(values, fc.nat({ max: 1_000_000 }), (said, at) => {
      const whole = seal(said, context, dataKey)
      const disclosures = disclosuresOf(whole, context, dataKey)
      expect(Object.keys(disclosures).sort()).toEqual(Object.keys(said).sort())
      for (const [field, disclosure] of Object.entries(disclosures)) {
        expect(proves(disclosure, whole.commitments[field] ?? '')).toBe(true)
        expect(
          proves(
            { ...disclosure, salt: flipped(disclosure.salt, 'base64url', at) },
            whole.commitments[field] ?? '',
          ),
        ).toBe(false)
        expect(proves({ ...disclosure, value: [disclosure.value] }, whole.commitments[field] ?? '')).toBe(
          false,
        )
        for (const [other, commitment] of Object.entries(whole.commitments)) {
          if (other !== field) expect(proves(disclosure, commitment)).toBe(false)
        }
      }
    }),
  )
})

test('the same text sealed twice has nothing in common that could be seen', () => {
  const seals = Array.from({ length: 2_000 }, () => seal({ title: 'Outage' }, context, dataKey))
  const nonces = seals.map(({ box }) => Buffer.from(box, 'base64').subarray(0, 12).toString('hex'))
  expect(new Set(nonces).size).toBe(seals.length)
  expect(new Set(seals.map(({ commitments }) => commitments.title)).size).toBe(seals.length)
  expect(seals.some(({ box }) => Buffer.from(box, 'base64').includes('Outage'))).toBe(false)
})

test('a box that is no box is broken, not an error of ours', () => {
  for (const box of ['', 'AAAA', randomBytes(70).toString('base64')]) {
    expect(() => open({ key: context.keyId, commitments: {}, box }, context, dataKey)).toThrow(BrokenSeal)
  }
})

function flipped(text: string, encoding: 'base64' | 'base64url', at: number): string {
  return flippedBytes(Buffer.from(text, encoding), at).toString(encoding)
}

function flippedBytes(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  const place = at % (copy.length * 8)
  copy.writeUInt8(copy.readUInt8(place >> 3) ^ (1 << (place & 7)), place >> 3)
  return copy
}

function flippedOne(commitments: Readonly<Record<string, string>>, at: number): Record<string, string> {
  const fields = Object.keys(commitments)
  const chosen = fields[at % fields.length]
  return Object.fromEntries(
    Object.entries(commitments).map(([field, commitment]) => [
      field,
      field === chosen ? flipped(commitment, 'base64url', at) : commitment,
    ]),
  )
}
