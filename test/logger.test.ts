import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { pino } from 'pino'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { turnwiseOutput } from '../src/logger.ts'

const directory = mkdtempSync(join(tmpdir(), 'incident-ledger-log-'))
afterAll(() => rmSync(directory, { recursive: true }))
let file = ''
let files = 0
beforeEach(() => {
  file = join(directory, String(files++))
})
const messages = (text: string) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).msg)

test('the lines of a turn are written at its end, in their order', async () => {
  const log = pino({}, turnwiseOutput(file))
  log.info('one')
  log.info('two')
  await nextTurn()
  expect(messages(readFileSync(file, 'utf8'))).toEqual(['one', 'two'])
  log.info('three')
  await nextTurn()
  expect(messages(readFileSync(file, 'utf8'))).toEqual(['one', 'two', 'three'])
})

test('a fatal line is written at once, with those before it', () => {
  const log = pino({}, turnwiseOutput(file))
  log.info('one')
  log.fatal('the end')
  expect(messages(readFileSync(file, 'utf8'))).toEqual(['one', 'the end'])
})

test('a turn that says much holds little of it back', () => {
  const log = pino({}, turnwiseOutput(file))
  for (let line = 0; line < 1_000; line++) log.info(`line ${line}`)
  expect(messages(readFileSync(file, 'utf8')).length).toBeGreaterThan(800)
})

test.each([
  ['leaves', 'process.exit(3)'],
  ['dies of an error', 'throw new Error("unforeseen")'],
])('no line is lost where the process %s within the turn', (_how, end) => {
  const script = `
    const { openLogger } = await import(${JSON.stringify(new URL('../src/logger.ts', import.meta.url).href)})
    const log = openLogger({ logLevel: 'info', logFormat: 'json' })
    log.info('one')
    log.info('two')
    ${end}`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  })
  expect(messages(stdout)).toEqual(['one', 'two'])
})
