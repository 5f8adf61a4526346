import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'

/** A process that says when it listens for signals and what it was told, and that ends only if `ends`. */
function run(options: { readonly timeoutMs: number; readonly ends: boolean }) {
  const program = `
    import { interruption } from './src/interruption.ts'
    const alive = setInterval(() => {}, 1_000)
    interruption(7, ${options.timeoutMs}).addEventListener('abort', () => {
      console.log('ending')
      if (${options.ends}) clearInterval(alive)
    })
    console.log('ready')`
  return spawn(process.execPath, ['--input-type=module', '--eval', program])
}

const patienceMs = 600_000

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s asks for an end in order, which is waited for',
  async (signal) => {
    const child = run({ timeoutMs: patienceMs, ends: true })
    const ended = once(child, 'exit')
    await once(child.stdout, 'data')
    child.kill(signal)
    expect(await ended).toEqual([0, null])
  },
)

test('an end that takes too long is cut short, and says so', async () => {
  const child = run({ timeoutMs: 100, ends: false })
  const ended = Promise.all([text(child.stderr), once(child, 'exit')])
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  expect(await ended).toEqual([
    'incident-ledger: SIGTERM was not followed by an end in 0.1 s: leaving\n',
    [7, null],
  ])
})

test('a second signal ends it at once', async () => {
  const child = run({ timeoutMs: patienceMs, ends: false })
  const ended = once(child, 'exit')
  await once(child.stdout, 'data')
  child.kill('SIGINT')
  await once(child.stdout, 'data')
  child.kill('SIGINT')
  expect(await ended).toEqual([7, null])
})
