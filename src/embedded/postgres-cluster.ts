import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { OsAccount } from './os-account.ts'
import type { PostgresProgram } from './postgres-program.ts'

/** The role that the service connects as, and its database. It owns that one and may create others, no more. */
export const roleName = 'ledger'
export const databaseName = 'ledger'

const draftPrefix = 'cluster.new-'
const orphanStopTimeoutSeconds = 30

/**
 * Makes the data directory `cluster`, with the role and its database, unless it is there. It is made beside its final place and
 * then renamed, so that one that is there is whole; what an interrupted attempt left is removed.
 */
export async function createCluster(
  program: PostgresProgram,
  cluster: string,
  account: OsAccount | undefined,
  password: string,
): Promise<void> {
  const parent = dirname(cluster)
  await removeDrafts(parent)
  if (await stat(cluster).catch(() => undefined)) return
  const draft = await mkdtemp(join(parent, draftPrefix))
  try {
    const draftCluster = join(draft, 'data')
    await initialize(program, draftCluster, account, password)
    await rename(draftCluster, cluster)
    await using entries = await open(parent, 'r')
    await entries.sync()
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

async function removeDrafts(parent: string): Promise<void> {
  const drafts = (await readdir(parent)).filter((name) => name.startsWith(draftPrefix))
  for (const draft of drafts) {
    // Retried, because an initdb that outlived its parent may still be writing there.
    await rm(join(parent, draft), { recursive: true, force: true, maxRetries: 5 })
  }
}

async function initialize(
  program: PostgresProgram,
  cluster: string,
  account: OsAccount | undefined,
  password: string,
): Promise<void> {
  const superuserPassword = join(dirname(cluster), 'password')
  await mkdir(cluster, { mode: 0o700 })
  // Kept nowhere else: nobody ever connects as the superuser.
  await writeFile(superuserPassword, randomBytes(32).toString('base64url'), { mode: 0o600 })
  if (account) {
    for (const path of [superuserPassword, cluster, dirname(cluster)]) {
      await chown(path, account.uid, account.gid)
    }
  }
  await program.run('initdb', cluster, [
    '--username=postgres',
    // Relative, because the program may be unable to walk the absolute path.
    '--pwfile=../password',
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // Sorts by code point and knows the letters of every script: the same on every machine, whatever its C library.
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
  ])
  // Without a server, as the superuser; a statement ends with its line.
  const statements = [
    `CREATE ROLE ${roleName} LOGIN CREATEDB PASSWORD '${password}'`,
    `CREATE DATABASE ${databaseName} OWNER ${roleName}`,
  ]
  const singleUser = ['--single', '-c', 'exit_on_error=on', 'postgres']
  await program.run('postgres', cluster, singleUser, statements.map((line) => `${line}\n`).join(''))
}

/**
 * Makes way for a new server after the process that owned the last one was killed: a server that outlived it is stopped in order;
 * a lock file that names a process which is no such server is freed of that name. The caller must own the data directory, so that
 * a running server can only be an orphan.
 */
export async function clearLock(
  program: PostgresProgram,
  cluster: string,
  log: (line: string) => void,
): Promise<void> {
  const path = join(cluster, 'postmaster.pid')
  const lock = await readFile(path, 'utf8').catch(() => undefined)
  if (!lock) return
  // Lines of postmaster.pid (src/include/utils/pidfile.h): pid, data directory, start time, port, …
  const [pid = '', , , port = ''] = lock.split('\n')
  const command = await commandLine(pid)
  if (command === undefined) return
  if (isServer(command, port)) {
    log(`Postgres of an earlier run is still there (process ${pid}): stopping it`)
    const timeout = `--timeout=${orphanStopTimeoutSeconds}`
    const stop = (mode: 'fast' | 'immediate') =>
      program.run('pg_ctl', cluster, ['stop', '--wait', `--mode=${mode}`, timeout])
    // Stopped at once, it recovers from its log at the next start and loses nothing.
    await stop('fast').catch(() => stop('immediate'))
  } else {
    await disown(path, lock)
  }
}

/** The command line of a live process; empty of one that has ended and was not yet waited for; undefined when there is none. */
async function commandLine(pid: string): Promise<string | undefined> {
  if (process.platform === 'linux') {
    return readFile(`/proc/${pid}/cmdline`, 'utf8').then(
      (words) => words.replaceAll('\0', ' '),
      () => undefined,
    )
  }
  return promisify(execFile)('ps', ['-o', 'command=', '-p', pid]).then(
    ({ stdout }) => stdout,
    () => undefined,
  )
}

/** Process numbers are used again, after a restart of the machine or container at once: never stop a stranger. */
function isServer(command: string, port: string): boolean {
  return `${command} `.includes(`/postgres -p ${port} `)
}

/**
 * Postgres refuses to start while any process of its account has the number in the lock file, be it a stranger or one that
 * init has not reaped. The rest of the file stays: by it Postgres finds out whether children of the old server still live.
 */
async function disown(path: string, lock: string): Promise<void> {
  const nobodysPid = 2 ** 31 - 1
  const { uid, gid } = await stat(path)
  const draft = `${path}.new`
  await writeFile(draft, lock.replace(/^.*/, String(nobodysPid)), { mode: 0o600 })
  await chown(draft, uid, gid)
  await rename(draft, path)
}
