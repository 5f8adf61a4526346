import { createContext, runInContext } from 'node:vm'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileLinearPattern } from '../../../src/embedded/event-store/linear-pattern.ts'
import { PatternRefused } from '../../../src/embedded/event-store/pattern-syntax.ts'

const alphabet = ['a', 'b', 'A', '1', '-', '_', '$', ' ', '\n', 'é', '\u2028', '🐎']
const texts = fc.string({ unit: fc.constantFrom(...alphabet), maxLength: 6 })

const atom = fc.constantFrom(
  ...[
    'a',
    'b',
    '1',
    '-',
    'é',
    '.',
    '\\$',
    '\\d',
    '\\D',
    '\\w',
    '\\W',
    '\\s',
    '\\S',
    '\\x61',
    '\\u00e9',
    '🐎',
  ],
  ...[
    '[ab]',
    '[^a]',
    '[a-z]',
    '[^$]',
    '[\\w-]',
    '[\\d-a]',
    '[a\\-1]',
    '[]',
    '[^]',
    '[]a]',
    '\\t',
    '{',
    '}',
    ']',
  ],
)
const assertion = fc.constantFrom('^', '$', '\\b', '\\B')
const quantifier = fc.constantFrom(
  '',
  '',
  '*',
  '+',
  '?',
  '*?',
  '+?',
  '??',
  '{2}',
  '{0}',
  '{1,}',
  '{0,2}',
  '{2,3}?',
)
const { pattern } = fc.letrec<{ pattern: string; term: string; group: string }>((tie) => ({
  pattern: fc
    .array(fc.array(tie('term'), { maxLength: 4 }), { minLength: 1, maxLength: 3 })
    .map((options) => options.map((terms) => terms.join('')).join('|')),
  term: fc.oneof(
    { maxDepth: 2 },
    fc.tuple(atom, quantifier).map((parts) => parts.join('')),
    assertion,
    fc.tuple(tie('group'), quantifier).map((parts) => parts.join('')),
  ),
  group: fc
    .tuple(fc.constantFrom('(', '(?:', '(?<name>'), tie('pattern'))
    .map(([open, inner]) => `${open}${inner})`),
}))

test('an expression matches what the language’s own engine matches', () => {
  void fc.assert(
    fc.property(pattern, fc.array(texts, { minLength: 1, maxLength: 8 }), (source, candidates) => {
      const expected = matchesOfLanguage(source, candidates)
      fc.pre(expected !== undefined)
      const matches = compiled(source)
      fc.pre(matches !== undefined)
      expect(candidates.map((text) => matches?.(text))).toEqual(expected)
    }),
    { numRuns: 1000 },
  )
})

/** Undefined: one of those that are refused for their size, a few in a million. */
function compiled(source: string): ((text: string) => boolean) | undefined {
  try {
    return compileLinearPattern(source)
  } catch (error) {
    if (error instanceof PatternRefused && error.message.includes('too large')) return undefined
    throw error
  }
}

/** Undefined: it is no expression, or one that keeps the language's engine, which backtracks, busy: a few in a hundred thousand. */
function matchesOfLanguage(source: string, candidates: readonly string[]): readonly boolean[] | undefined {
  try {
    Object.assign(language, { source, candidates })
    return [...runInContext('candidates.map((text) => new RegExp(source).test(text))', language, options)]
  } catch {
    return undefined
  }
}

const language = createContext()
const options = { timeout: 1_000 }

describe('an expression that would keep a backtracking engine busy for years', () => {
  test.each(['^(a+)+$', '^(a|a)*$', '^(a|aa)+$', '(.*)*b', '^(?:a?){30}a{30}$x', '((a*)*)*$x'])(
    '%s is answered in one pass',
    (source) => {
      expect(compileLinearPattern(source)(`${'a'.repeat(10_000)}!`)).toBe(false)
    },
  )
})

describe('an expression is refused with a sentence', () => {
  test.each([
    ['(', 'cannot be read'],
    ['a(?=b)', 'lookarounds'],
    ['a(?<!b)', 'lookarounds'],
    ['(a)\\1', 'back-references'],
    ['(?<x>a)\\k<x>', 'back-references'],
    ['\\p{L}', '\\p'],
    ['a{1001}', 'too large'],
    ['((a{50}){50}){50}', 'too large'],
    ['((?:){100000}){100000}', 'too large'],
  ])('%s', (source, reason) => {
    expect(() => compileLinearPattern(source)).toThrow(PatternRefused)
    expect(() => compileLinearPattern(source)).toThrow(reason)
  })
})
