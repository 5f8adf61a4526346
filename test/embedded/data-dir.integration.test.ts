import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { claimDataDir, type DataDirClaim } from '../../src/embedded/data-dir.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const script = fileURLToPath(new URL('data-dir-claimant.ts', import.meta.url))
const info = {
  pid: process.pid,
  eventStoreUrl: 'esdb://127.0.0.1:2113?tls=false',
  databaseUrl: 'postgres://ledger:secret@127.0.0.1:5433/postgres',
  startedAt: '2026-01-01T00:00:00.000Z',
}

let directory: TemporaryDirectory
let dataDir: string
const processes: ChildProcess[] = []

beforeEach(async () => {
  directory = await temporaryDirectory()
  dataDir = join(directory.path, 'data')
})

afterEach(async () => {
  for (const child of processes.splice(0)) await kill(child)
  await directory.remove()
})

test('the first claimant owns the directory, the second attaches to what the first has published', async () => {
  const owner = await claimAsOwner()
  await owner.publish(info)
  expect(await claimDataDir(dataDir)).toEqual({ kind: 'attached', info })
  await owner.release()
})

test('what is published is for the eyes of the user alone', async () => {
  const owner = await claimAsOwner()
  await owner.publish(info)
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700)
  expect((await stat(join(dataDir, 'attach.json'))).mode & 0o777).toBe(0o600)
  await owner.release()
})

test('a released directory has a new owner and nothing to attach to', async () => {
  const first = await claimAsOwner()
  await first.publish(info)
  await first.release()
  const second = await claimAsOwner()
  await expect(claimDataDir(dataDir, 0)).rejects.toThrow(
    'is in use by a process that does not say how to attach to it',
  )
  await second.release()
})

test('of many claimants at once, one owns and the others wait for it to publish', async () => {
  const claims = Array.from({ length: 8 }, () => claimDataDir(dataDir))
  const owner = await Promise.race(claims)
  if (owner.kind !== 'owner') throw new Error('the first claim to be answered is the owner')
  await owner.publish(info)
  const kinds = (await Promise.all(claims)).map((claim) => claim.kind)
  expect(kinds.toSorted()).toEqual([...Array.from({ length: 7 }, () => 'attached'), 'owner'])
  await owner.release()
})

test('another process attaches to an owner, and becomes the owner once that one is killed', async () => {
  const owner = await startClaimant()
  expect(owner.claim.kind).toBe('owner')
  await owner.call('publish')
  const attached = await claimDataDir(dataDir)
  expect(attached).toMatchObject({ kind: 'attached', info: { pid: owner.process.pid } })
  await kill(owner.process)
  const heir = await claimAsOwner()
  await expect(stat(join(dataDir, 'attach.json'))).rejects.toThrow('ENOENT')
  await heir.release()
})

test('a claimant who waits becomes the owner when the one it waits for dies before it publishes', async () => {
  const owner = await startClaimant()
  const waiting = claimDataDir(dataDir)
  await kill(owner.process)
  const heir = await waiting
  expect(heir.kind).toBe('owner')
  if (heir.kind === 'owner') await heir.release()
})

async function claimAsOwner(): Promise<Extract<DataDirClaim, { kind: 'owner' }>> {
  const claim = await claimDataDir(dataDir)
  if (claim.kind !== 'owner') throw new Error('somebody else owns the directory')
  return claim
}

type Claimant = {
  process: ChildProcess
  claim: { kind: string }
  call(method: 'publish' | 'release'): Promise<void>
}

async function startClaimant(): Promise<Claimant> {
  const child = spawn(process.execPath, [script, dataDir], { stdio: ['pipe', 'pipe', 'inherit'] })
  processes.push(child)
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const nextLine = async () => String((await lines.next()).value)
  return {
    process: child,
    claim: JSON.parse(await nextLine()),
    async call(method) {
      child.stdin.write(`${method}\n`)
      expect(await nextLine()).toBe(method)
    },
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
