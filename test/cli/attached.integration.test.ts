import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { startService } from '../support/service-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { waitFor } from '../support/wait-for.ts'
import { extract } from './import/importing.ts'

const bin = fileURLToPath(new URL('../../bin/incident-ledger', import.meta.url))

it('commands work on the DATA_DIR of a running service, and open the ledger themselves once it has stopped', async () => {
  await using directory = await temporaryDirectory()
  const run = (...args: readonly string[]) => answerOf(['--data-dir', directory.path, '--json', ...args])
  const service = await startService({ DATA_DIR: directory.path })
  try {
    expect(await run('import', 'servicenow', extract)).toMatchObject({
      code: 0,
      last: { type: 'summary', eventsAppended: 404, incidents: { total: 60, reopenings: 11 } },
    })
    const projected = () => service.call('GET', '/stats').then(({ body }) => body.byStatus.closed === 60)
    await waitFor(projected, { describe: 'the service shows the imported incidents' })
    expect(await run('rebuild')).toMatchObject({ code: 0, last: { type: 'rebuild', events: 404 } })
    await waitFor(projected, { describe: 'the service shows the incidents of the new read model' })
    expect(await run('replay')).toMatchObject({ code: 0, last: { incidents: 60 } })
  } finally {
    await service.stop()
  }
  expect(await run('import', 'servicenow', extract)).toMatchObject({ code: 0, last: { eventsAppended: 0 } })
  expect(await run('replay')).toMatchObject({ code: 0, last: { incidents: 60, byStatus: { closed: 60 } } })
  const records = (await readFile(join(directory.path, 'audit.log'), 'utf8')).trimEnd().split('\n')
  expect(records.map((line) => JSON.parse(line).outcome)).toEqual([undefined, 'done', undefined, 'done'])
})

/** The exit code, and the last line of standard output. */
function answerOf(args: readonly string[]): Promise<{ code: unknown; last: unknown }> {
  return new Promise((resolve) => {
    execFile(bin, args, (error, out, err) => {
      const last = out.trimEnd().split('\n').at(-1)
      resolve({ code: error ? (error.code ?? err) : 0, last: last ? JSON.parse(last) : err })
    })
  })
}
