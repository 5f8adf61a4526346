/** A regular expression taken apart: what can be matched in one pass over a text. */
export type PatternNode =
  | { readonly kind: 'one-of'; readonly ranges: readonly CodeRange[] }
  | { readonly kind: 'sequence'; readonly parts: readonly PatternNode[] }
  | { readonly kind: 'alternatives'; readonly options: readonly PatternNode[] }
  | { readonly kind: 'repeat'; readonly part: PatternNode; readonly min: number; readonly max: number }
  | { readonly kind: 'assertion'; readonly at: 'start' | 'end' | 'boundary' | 'inside' }

/** UTF-16 code units from first to last, both inclusive. */
export type CodeRange = readonly [first: number, last: number]

/** Raised on an expression that is none, or that cannot be matched in time linear in the text; the message is for its author. */
export class PatternRefused extends Error {
  override readonly name = 'PatternRefused'
}

const LAST_CODE = 0xffff
const digits: readonly CodeRange[] = [[0x30, 0x39]]
export const wordCodes: readonly CodeRange[] = [...digits, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]
const lineEnds = ranges('\n\n', '\r\r', '\u2028\u2029')
const spaces = ranges(
  ...['\t\r', '  ', '\u00a0\u00a0', '\u1680\u1680', '\u2000\u200a', '\u2028\u2029', '\u202f\u202f'],
  ...['\u205f\u205f', '\u3000\u3000', '\ufeff\ufeff'],
)
const sets: Readonly<Record<string, readonly CodeRange[]>> = {
  d: digits,
  D: complement(digits),
  w: wordCodes,
  W: complement(wordCodes),
  s: spaces,
  S: complement(spaces),
}
const controls: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13 }

/**
 * Takes an ECMAScript expression without flags apart. Back-references, lookarounds, inline flags and rare escapes are
 * refused; laziness is ignored, as it does not change whether there is a match.
 *
 * @throws PatternRefused
 */
export function parsePattern(source: string): PatternNode {
  try {
    // Whatever is no expression at all is found here, so that what follows may rely on the syntax.
    new RegExp(source)
  } catch {
    throw new PatternRefused(`the regular expression cannot be read: ${source}`)
  }
  let at = 0
  return parseAlternatives()

  function parseAlternatives(): PatternNode {
    const options = [parseSequence()]
    while (source[at] === '|') {
      at += 1
      options.push(parseSequence())
    }
    return { kind: 'alternatives', options }
  }

  function parseSequence(): PatternNode {
    const parts: PatternNode[] = []
    while (at < source.length && source[at] !== '|' && source[at] !== ')') parts.push(parseRepeated())
    return { kind: 'sequence', parts }
  }

  function parseRepeated(): PatternNode {
    const part = parseAtom()
    const quantifier = take(/[*+?]|\{\d+(?:,\d*)?\}/y)
    if (quantifier === undefined) return part
    take(/\?/y)
    const [min = 0, max = min] = countsOf(quantifier)
    return { kind: 'repeat', part, min, max }
  }

  function parseAtom(): PatternNode {
    const char = source[at] ?? ''
    at += 1
    if (char === '(') return parseGroup()
    if (char === '[') return parseClass()
    if (char === '^') return { kind: 'assertion', at: 'start' }
    if (char === '$') return { kind: 'assertion', at: 'end' }
    if (char === '.') return { kind: 'one-of', ranges: complement(lineEnds) }
    if (char === '\\' && source[at] === 'b') return parseAssertion('boundary')
    if (char === '\\' && source[at] === 'B') return parseAssertion('inside')
    if (char === '\\') return { kind: 'one-of', ranges: parseEscape() }
    return { kind: 'one-of', ranges: only(char.charCodeAt(0)) }
  }

  function parseAssertion(where: 'boundary' | 'inside'): PatternNode {
    at += 1
    return { kind: 'assertion', at: where }
  }

  function parseGroup(): PatternNode {
    if (source[at] === '?' && take(/\?:|\?<(?![=!])[^>]*>/y) === undefined) {
      throw new PatternRefused(`lookarounds and inline flags are not supported: ${source}`)
    }
    const inner = parseAlternatives()
    at += 1
    return inner
  }

  function parseClass(): PatternNode {
    const isNegated = take(/\^/y) !== undefined
    const members: CodeRange[] = []
    while (source[at] !== ']') {
      const first = parseClassMember()
      const isRange = source[at] === '-' && source[at + 1] !== ']'
      if (!isRange) {
        members.push(...first)
        continue
      }
      at += 1
      const last = parseClassMember()
      const [from, to] = [codeOf(first), codeOf(last)]
      if (from !== undefined && to !== undefined) members.push([from, to])
      else members.push(...first, ...only(0x2d), ...last)
    }
    at += 1
    return { kind: 'one-of', ranges: isNegated ? complement(members) : members }
  }

  function parseClassMember(): readonly CodeRange[] {
    const char = source[at] ?? ''
    at += 1
    if (char !== '\\') return only(char.charCodeAt(0))
    if (take(/b/y) !== undefined) return only(8)
    return parseEscape()
  }

  function parseEscape(): readonly CodeRange[] {
    const hex = take(/x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}/y)
    if (hex !== undefined) return only(Number.parseInt(hex.slice(1), 16))
    if (take(/0(?!\d)/y) !== undefined) return only(0)
    const char = source[at] ?? ''
    at += 1
    const set = sets[char]
    if (set !== undefined) return set
    const control = controls[char]
    if (control !== undefined) return only(control)
    if (/[0-9A-Za-z]/.test(char)) {
      throw new PatternRefused(`back-references and the escape \\${char} are not supported: ${source}`)
    }
    return only(char.charCodeAt(0))
  }

  function take(pattern: RegExp): string | undefined {
    pattern.lastIndex = at
    const [found] = pattern.exec(source) ?? []
    at += found?.length ?? 0
    return found
  }
}

function countsOf(quantifier: string): readonly number[] {
  if (quantifier === '*') return [0, Number.POSITIVE_INFINITY]
  if (quantifier === '+') return [1, Number.POSITIVE_INFINITY]
  if (quantifier === '?') return [0, 1]
  const bounds = quantifier.slice(1, -1).split(',')
  return bounds.map((bound) => (bound === '' ? Number.POSITIVE_INFINITY : Number(bound)))
}

function only(code: number): readonly CodeRange[] {
  return [[code, code]]
}

/** The code of a class member that is one character, as against a set of them. */
function codeOf(member: readonly CodeRange[]): number | undefined {
  const [range] = member
  return member.length === 1 && range !== undefined && range[0] === range[1] ? range[0] : undefined
}

function ranges(...pairs: readonly string[]): readonly CodeRange[] {
  return pairs.map((pair) => [pair.charCodeAt(0), pair.charCodeAt(1)])
}

function complement(members: readonly CodeRange[]): readonly CodeRange[] {
  const gaps: CodeRange[] = []
  let next = 0
  for (const [first, last] of members.toSorted(([a], [b]) => a - b)) {
    if (first > next) gaps.push([next, first - 1])
    next = Math.max(next, last + 1)
  }
  if (next <= LAST_CODE) gaps.push([next, LAST_CODE])
  return gaps
}
