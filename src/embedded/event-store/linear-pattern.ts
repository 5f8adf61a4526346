import {
  type CodeRange,
  type PatternNode,
  PatternRefused,
  parsePattern,
  wordCodes,
} from './pattern-syntax.ts'

/*
 * Regular expressions come from clients, and a backtracking engine can be made to work for years by thirty characters.
 * So they are matched as Ken Thompson did ("Regular Expression Search Algorithm", CACM 11, 1968): all ways at once, one
 * pass over the text, at most as many steps a character as the program is long.
 */

/** Of a program, and so of the steps that one character of a text can cost. */
const MAX_INSTRUCTIONS = 1000

type Instruction =
  | { readonly op: 'take'; readonly ranges: readonly CodeRange[] }
  | { readonly op: 'assert'; readonly at: 'start' | 'end' | 'boundary' | 'inside' }
  /** Goes on at both places. */
  | { readonly op: 'fork'; readonly to: number; readonly or: number }
  | { readonly op: 'match' }

/**
 * Says whether a text has a match of the expression anywhere, in time linear in its length.
 *
 * @throws PatternRefused when the expression is none, is too large, or has what no such engine can do.
 */
export function compileLinearPattern(source: string): (text: string) => boolean {
  const program = assemble(parsePattern(source), source)
  const [first] = program
  const beginsAtStart = first?.op === 'assert' && first.at === 'start'
  /** At which step each instruction was last reached: none is followed twice at one place. */
  const reachedAt = new Float64Array(program.length)
  let step = 0
  let ways: number[] = []

  /** Follows what takes no character; true when the expression is matched. */
  function follow(start: number, text: string, at: number): boolean {
    const open = [start]
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      if (reachedAt[index] === step) continue
      reachedAt[index] = step
      const instruction = program[index]
      if (instruction === undefined || instruction.op === 'match') return true
      if (instruction.op === 'take') ways.push(index)
      else if (instruction.op === 'fork') open.push(instruction.or, instruction.to)
      else if (holds(instruction.at, text, at)) open.push(index + 1)
    }
    return false
  }

  return (text) => {
    ways = []
    step += 1
    for (let at = 0; ; at += 1) {
      if (follow(0, text, at)) return true
      if (at === text.length || (ways.length === 0 && beginsAtStart)) return false
      const code = text.charCodeAt(at)
      const before = ways
      ways = []
      step += 1
      for (const index of before) {
        const instruction = program[index]
        if (instruction?.op !== 'take' || !includes(instruction.ranges, code)) continue
        if (follow(index + 1, text, at + 1)) return true
      }
    }
  }
}

function assemble(pattern: PatternNode, source: string): readonly Instruction[] {
  const program: Instruction[] = []
  let nodes = 0
  emit(pattern)
  add({ op: 'match' })
  return program

  function emit(node: PatternNode): void {
    // Counted too, because what is empty can be repeated without end and adds no instruction.
    nodes += 1
    if (nodes > 10 * MAX_INSTRUCTIONS) throw tooLarge(source)
    switch (node.kind) {
      case 'one-of':
        add({ op: 'take', ranges: node.ranges })
        return
      case 'assertion':
        add({ op: 'assert', at: node.at })
        return
      case 'sequence':
        for (const part of node.parts) emit(part)
        return
      case 'alternatives':
        emitAlternatives(node.options)
        return
      case 'repeat':
        emitRepeat(node.part, node.min, node.max)
    }
  }

  function emitAlternatives(options: readonly PatternNode[]): void {
    const [first, ...others] = options
    if (first === undefined) return
    if (others.length === 0) {
      emit(first)
      return
    }
    const fork = reserve()
    emit(first)
    const exit = reserve()
    program[fork] = { op: 'fork', to: fork + 1, or: program.length }
    emitAlternatives(others)
    program[exit] = { op: 'fork', to: program.length, or: program.length }
  }

  function emitRepeat(part: PatternNode, min: number, max: number): void {
    for (let count = 0; count < min; count += 1) emit(part)
    if (max === Number.POSITIVE_INFINITY) {
      const fork = reserve()
      emit(part)
      add({ op: 'fork', to: fork, or: fork })
      program[fork] = { op: 'fork', to: fork + 1, or: program.length }
      return
    }
    const forks: number[] = []
    for (let count = min; count < max; count += 1) {
      forks.push(reserve())
      emit(part)
    }
    for (const fork of forks) program[fork] = { op: 'fork', to: fork + 1, or: program.length }
  }

  function add(instruction: Instruction): number {
    if (program.length >= MAX_INSTRUCTIONS) throw tooLarge(source)
    return program.push(instruction) - 1
  }

  function reserve(): number {
    return add({ op: 'match' })
  }
}

function tooLarge(source: string): PatternRefused {
  return new PatternRefused(
    `the regular expression is too large: ${source.length > 100 ? `${source.slice(0, 100)}…` : source}`,
  )
}

function holds(where: 'start' | 'end' | 'boundary' | 'inside', text: string, at: number): boolean {
  if (where === 'start') return at === 0
  if (where === 'end') return at === text.length
  const isBoundary = isWord(text, at - 1) !== isWord(text, at)
  return where === 'boundary' ? isBoundary : !isBoundary
}

function isWord(text: string, at: number): boolean {
  return at >= 0 && at < text.length && includes(wordCodes, text.charCodeAt(at))
}

function includes(ranges: readonly CodeRange[], code: number): boolean {
  return ranges.some(([first, last]) => code >= first && code <= last)
}
