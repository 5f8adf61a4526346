import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { openDatabase } from '../../src/embedded/event-store/database.ts'
import { createEventLog } from '../../src/embedded/event-store/event-log.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const bin = fileURLToPath(new URL('../../bin/incident-ledger', import.meta.url))

function run(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(bin, args, (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, out, err })
    })
  })
}

it('event-store backs up a log in use, restores it elsewhere once, and checks it', async () => {
  await using directory = await temporaryDirectory()
  const data = join(directory.path, 'data')
  const log = createEventLog(openDatabase(data))
  const nothing = new Uint8Array(0)
  const event = { id: crypto.randomUUID(), type: 'Happened', isJson: false, data: nothing, metadata: nothing }
  await log.append('s', 'no_stream', [event])
  const backup = join(directory.path, 'backup')
  expect(await run('event-store', 'backup', '--data', data, backup)).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^Backed up 1 events, \d+ bytes, to .*backup\.$/m),
  })
  log.close()

  const restored = join(directory.path, 'restored')
  const restoring = ['event-store', 'restore', '--data', restored, backup, '--json']
  const { code, out } = await run(...restoring)
  expect({ code, said: JSON.parse(out) }).toMatchObject({ code: 0, said: { type: 'restored', events: 1 } })
  expect(await run(...restoring)).toMatchObject({ code: 1, err: expect.stringContaining('already') })

  const sound = await run('event-store', 'fsck', '--data', restored)
  expect(sound).toMatchObject({ code: 0, err: '' })
  expect(sound.out.match(/^ok /gm)).toHaveLength(6)
  new DatabaseSync(join(restored, 'events.sqlite')).exec("UPDATE event SET data = x'00'")
  const faulty = await run('event-store', 'fsck', '--data', restored)
  expect(faulty).toMatchObject({ code: 1, err: expect.stringContaining('has faults') })
  expect(faulty.out).toMatch(/^FAULT {2}events: .*\n +the event at position 1 is not as it was written/m)
})

it('event-store refuses half a TLS pair, an empty password, and a directory without a log', async () => {
  await using directory = await temporaryDirectory()
  const empty = join(directory.path, 'empty')
  writeFileSync(empty, '\n')
  const data = ['--data', join(directory.path, 'data')]
  expect(await run('event-store', ...data, '--tls-key', empty)).toMatchObject({
    code: 2,
    err: expect.stringContaining('go together'),
  })
  expect(await run('event-store', ...data, '--password-file', empty)).toMatchObject({
    code: 1,
    err: expect.stringContaining('is empty'),
  })
  expect(await run('event-store', 'fsck', ...data)).toMatchObject({
    code: 1,
    err: expect.stringContaining('there is no event store at'),
  })
})
