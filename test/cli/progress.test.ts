import { PassThrough } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { expect, it } from 'vitest'
import { openProgress } from '../../src/cli/progress.ts'

/** What is written to it is `written()`; a terminal unless it is said to be none. */
function stream(isTTY = true) {
  let written = ''
  const through = Object.assign(new PassThrough(), { isTTY, columns: 80 })
  through.setEncoding('utf8').on('data', (text: string) => {
    written += text
  })
  return Object.assign(through, { written: () => written })
}

const long = `line 7  INC7  clamped: ${'so long that no terminal has it on one line, '.repeat(5)}`

it('shows no bar before it is known how much there is to do', () => {
  const err = stream()
  const progress = openProgress({ out: stream(), err }, 'rows')
  expect(err.written()).toBe('')
  progress.update(25, 100)
  progress.stop()
  expect(stripVTControlCharacters(err.written())).toContain('25% · 25 of 100 rows')
  expect(err.written()).not.toContain('of 0 rows')
})

it('keeps to 80 columns', () => {
  const err = stream()
  const progress = openProgress({ out: stream(), err }, 'rows')
  progress.update(999_999, 1_000_000)
  progress.stop()
  const drawn = stripVTControlCharacters(err.written()).split('\n')
  expect(Math.max(...drawn.map((line) => line.length))).toBeGreaterThan(40)
  for (const line of drawn) expect(line.length).toBeLessThanOrEqual(80)
})

it('says lines in full, however narrow the terminal is', () => {
  const err = stream()
  const progress = openProgress({ out: stream(), err }, 'rows')
  progress.update(1, 100)
  progress.line(long)
  progress.update(2, 100)
  progress.stop()
  expect(err.written()).toContain(`\u001B[?7h${long}\u001B[?7l\n`)
})

it('says the lines that come before the first update, and those of an answer that goes to a file, as they are', () => {
  const out = stream()
  openProgress({ out, err: stream() }, 'rows').line(long)
  expect(out.written()).toBe(`${long}\n`)
  const file = stream(false)
  const progress = openProgress({ out: file, err: stream() }, 'rows')
  progress.update(1, 2)
  progress.line(long)
  progress.stop()
  expect(file.written()).toBe(`${long}\n`)
})
