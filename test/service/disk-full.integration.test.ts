/**
 * What the service does while its event store can write no more, and that it takes up again by itself. The disk is a small one of its
 * own where the test may mount one; everywhere on Linux, without any privilege, the files' size is limited under the running service.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, type ServiceProcess, startService } from '../support/service-process.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { waitFor } from '../support/wait-for.ts'

/** Below the deadline after which an append's outcome would be given up as unknown. */
const atOnceMs = 4_000

let data: TemporaryDirectory
let service: ServiceProcess | undefined

beforeEach(async () => {
  data = await temporaryDirectory()
})

afterEach(async () => {
  await service?.stop()
  service = undefined
  await data.remove()
})

describe('an event store with no room left', () => {
  test('on a full disk: writes are refused with 503, reads go on, and nothing is lost when there is room again', async ({
    skip,
  }) => {
    const disk = join(data.path, 'event-store')
    mkdirSync(disk, { mode: 0o700 })
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=700', 'tmpfs', disk], { stdio: 'ignore' })
    } catch {
      console.log('a full disk of its own: skipped (this user may not mount a small file system)')
      skip('this user may not mount a small file system')
    }
    const filler = join(disk, 'filler')
    try {
      service = await startService({ DATA_DIR: data.path })
      await refusesAndRecovers(service, {
        fill: () => fill(filler),
        makeRoom: () => rmSync(filler),
      })
    } finally {
      await service?.stop()
      execFileSync('umount', [disk])
    }
  })

  test('at the limit of its files’ size: the same', async ({ skip }) => {
    try {
      limitFileSize(process.pid, 'unlimited')
    } catch {
      console.log('a limit on the size of files: skipped (prlimit is not on PATH)')
      skip('prlimit is not on PATH')
    }
    service = await startService({ DATA_DIR: data.path })
    const { pid } = service
    await refusesAndRecovers(service, {
      fill: () => limitFileSize(pid, String(largestFileBytes(join(data.path, 'event-store')))),
      makeRoom: () => limitFileSize(pid, 'unlimited'),
    })
  })
})

async function refusesAndRecovers(
  service: ServiceProcess,
  disk: { readonly fill: () => void; readonly makeRoom: () => void },
): Promise<void> {
  const report = (description: string) =>
    service.call('POST', '/incidents', { body: { source: 'operator', description } })
  const acknowledged: string[] = []
  const kept = ({ status, headers }: Answer) => {
    if (status === 201) acknowledged.push(headers.get('location') ?? '')
    return status
  }
  expect(kept(await report('while there is room'))).toBe(201)
  const path = acknowledged[0] ?? ''

  disk.fill()
  // What is reserved already may still take some: each of these is either kept or refused, and none is left open.
  const refused = await waitFor(
    async () => {
      const answer = await report(`while there is no room. ${'So much to tell. '.repeat(500)}`)
      return kept(answer) === 201 ? undefined : answer
    },
    { describe: 'a report is refused' },
  )
  for (const write of [
    async () => refused,
    () => report('as well'),
    () => service.call('PATCH', `${path}/status`, { body: { status: 'in_progress' } }),
    () => service.call('POST', `${path}/notes`, { body: { text: 'No room for this' } }),
  ]) {
    const beganMs = performance.now()
    const { status, headers, body } = await write()
    expect(performance.now() - beganMs).toBeLessThan(atOnceMs)
    expect({ status, type: body.type }).toEqual({ status: 503, type: '/problems/event-store-unavailable' })
    expect(headers.get('content-type')).toContain('application/problem+json')
    expect(headers.get('retry-after')).toMatch(/^\d+$/)
  }
  expect((await service.call('GET', path)).body).toMatchObject({ revision: 0, status: 'new' })
  expect((await service.call('GET', '/incidents')).body.items).toHaveLength(acknowledged.length)
  expect((await service.call('GET', `${path}/history`)).body.items).toHaveLength(1)

  disk.makeRoom()
  await waitFor(async () => kept(await report('when there is room again')) === 201, {
    describe: 'reports are taken again, without a restart',
  })
  const changed = await service.call('PATCH', `${path}/status`, { body: { status: 'in_progress' } })
  expect(changed).toMatchObject({ status: 200, body: { revision: 1, status: 'in_progress' } })

  // And so it is on the disk: what another start reads is what was acknowledged, each once.
  await service.kill()
  await service.start()
  const listed = (await service.call('GET', '/incidents?limit=200')).body.items
  const paths = listed.map(({ id }: { id: string }) => `/incidents/${id}`)
  expect(paths.sort()).toEqual([...acknowledged].sort())
  expect((await service.call('GET', `${path}/history`)).body.items).toHaveLength(2)
  expect((await service.call('GET', '/events?limit=200')).body.items).toHaveLength(acknowledged.length + 1)
}

function fill(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (let bytes = 64 * 1024; bytes >= 1; bytes >>= 1) writeUntilFull(file, Buffer.alloc(bytes))
  } finally {
    closeSync(file)
  }
}

function writeUntilFull(file: number, block: Buffer): void {
  try {
    for (;;) writeSync(file, block)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
  }
}

/** Of a running process and what it writes from now on; its children keep theirs. */
function limitFileSize(pid: number, bytes: string): void {
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`], { stdio: 'pipe' })
}

function largestFileBytes(directory: string): number {
  return Math.max(...readdirSync(directory).map((name) => statSync(join(directory, name)).size))
}
