import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  chainLinkId,
  importedStepId,
  newIncidentId,
  reportedIncidentId,
  requestId,
} from '../../src/ledger/identity.ts'

const text = fc.string({ unit: 'grapheme' })

test('an identity is the same ever after', () => {
  // Written down once: were one of them to change, ledgers that exist would double what is repeated to them.
  expect(reportedIncidentId('key-1', 'a')).toBe('5ec84709-8393-5305-b84c-9b850ee78128')
  expect(chainLinkId('key-1', 'alarm', 0)).toBe('56394668-72e7-5935-b114-d8074370a28c')
  expect(requestId('key-1', 'a')).toBe('98137739-02af-596e-8192-522490f21651')
  expect(importedStepId('import:x', 'INC1', 3)).toBe('66a4d5a6-15fd-59d7-84ac-5534058ff182')
})

test('two inputs never meet, however they are cut', () => {
  fc.assert(
    fc.property(text, text, text, text, (a, b, c, d) => {
      fc.pre(a !== c || b !== d)
      expect(requestId(a, b)).not.toBe(requestId(c, d))
      expect(chainLinkId(a, b, 0)).not.toBe(chainLinkId(c, d, 0))
    }),
  )
  expect(requestId('a', 'bc')).not.toBe(requestId('ab', 'c'))
})

test('two kinds never meet', () => {
  fc.assert(
    fc.property(text, text, fc.nat(), (a, b, n) => {
      const ids = [reportedIncidentId(a, b), requestId(a, b), chainLinkId(a, b, n), importedStepId(a, b, n)]
      expect(new Set(ids).size).toBe(ids.length)
    }),
  )
})

test('a new incident has a time-ordered id', () => {
  const first = newIncidentId(1_700_000_000_000)
  expect(first).toMatch(/^018bcfe5-6800-7[0-9a-f]{3}-[89ab]/)
  expect(newIncidentId(1_700_000_000_001) > first).toBe(true)
})
