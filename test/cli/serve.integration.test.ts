import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const bin = fileURLToPath(new URL('../../bin/incident-ledger', import.meta.url))

it('serve leaves at the latest ten seconds after Ctrl-C, also where a part of it does not end', async () => {
  await using data = await temporaryDirectory()
  const { PATH, HOME } = process.env
  const service = spawn(bin, ['serve', '--data-dir', data.path], { env: { PATH, HOME, PORT: '0' } })
  const ended = once(service, 'exit')
  let complaints = ''
  service.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  for await (const line of createInterface(service.stdout)) if (line.includes('is serving')) break
  const pidFile = readFileSync(join(data.path, 'postgres', 'cluster', 'postmaster.pid'), 'utf8')
  const postgres = Number(pidFile.split('\n')[0])
  process.kill(postgres, 'SIGSTOP')
  try {
    service.kill('SIGINT')
    expect(await ended).toEqual([130, null])
    expect(complaints).toContain('SIGINT was not followed by an end in 10 s: leaving')
  } finally {
    service.kill('SIGKILL')
    process.kill(postgres, 'SIGKILL')
  }
})
