import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import { unprivilegedAccount } from './os-account.ts'
import { clearLock, createCluster, databaseName, roleName } from './postgres-cluster.ts'
import { postgresProgram } from './postgres-program.ts'
import { launchServer, type Server } from './postgres-server.ts'
import { loadOrCreateSecret } from './secret.ts'

const startPatienceMs = 30_000
const firstDelayMs = 200
const longestDelayMs = 10_000

export type EmbeddedPostgres = {
  /** `postgres://user:password@127.0.0.1:port/database`, the same until closed. */
  readonly url: string
  /** Ends the connections, writes everything out and waits until the server is gone. */
  close(): Promise<void>
}

/**
 * Starts the Postgres server that npm installed, on a free loopback port, with everything of it under `dataDir` (made if absent):
 * `cluster/`, its data directory, and `password`. Root runs it as another account. A server that an earlier owner of `dataDir`
 * left behind is stopped first: the caller must own `dataDir`.
 *
 * Durable: what was committed survives kill -9 of everything. Should the server die, it is started again on the same port, so
 * that clients see refused connections meanwhile. `log` gets one line for each thing that a person should know.
 *
 * Throws an Error of one line when it cannot start.
 */
export async function startEmbeddedPostgres({
  dataDir,
  log = () => {},
}: {
  readonly dataDir: string
  readonly log?: (line: string) => void
}): Promise<EmbeddedPostgres> {
  const cluster = join(dataDir, 'cluster')
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const account = await unprivilegedAccount(cluster)
  const program = await postgresProgram(account, log)
  const password = await loadOrCreateSecret(join(dataDir, 'password'))
  await createCluster(program, cluster, account, password).catch((error: unknown) => {
    throw startFailure(cluster, messageOf(error))
  })

  const closing = new AbortController()
  const launch = async (port: number) => {
    await clearLock(program, cluster, log)
    return launchServer(program, cluster, port, log, closing.signal)
  }
  const { port, server } = await launchFirst(cluster, launch)
  const supervision = supervise(server, () => launch(port), log, closing.signal)
  return {
    url: `postgres://${roleName}:${password}@127.0.0.1:${port}/${databaseName}`,
    async close() {
      closing.abort()
      await supervision
    },
  }
}

type Launch = (port: number) => Promise<Server>

async function launchFirst(cluster: string, launch: Launch): Promise<{ port: number; server: Server }> {
  const deadline = Date.now() + startPatienceMs
  for (;;) {
    const port = await freePort()
    try {
      return { port, server: await launch(port) }
    } catch (error) {
      const words = messageOf(error)
      if (!passes(words) || Date.now() > deadline) throw startFailure(cluster, words)
      await delay(firstDelayMs)
    }
  }
}

/** Another program got the port first; or children of a killed server have not noticed yet that it is gone. */
function passes(words: string): boolean {
  return /Address already in use|lock file "postmaster.pid" already exists|shared memory block .* still in use/.test(
    words,
  )
}

/** Keeps a server running until `closing`, and then returns once it is gone. */
async function supervise(
  first: Server,
  relaunch: () => Promise<Server>,
  log: (line: string) => void,
  closing: AbortSignal,
): Promise<void> {
  let ended = first.ended
  let delayMs = firstDelayMs
  let startedAtMs = performance.now()
  for (;;) {
    const words = await ended
    if (closing.aborted) return
    const ranForMs = performance.now() - startedAtMs
    delayMs = ranForMs > longestDelayMs ? firstDelayMs : Math.min(2 * delayMs, longestDelayMs)
    log(`Postgres ended unexpectedly (${lastComplaint(words)}): starting it again in ${delayMs} ms`)
    await delay(delayMs, undefined, { signal: closing }).catch(() => {})
    if (closing.aborted) return
    startedAtMs = performance.now()
    try {
      ended = (await relaunch()).ended
      log('Postgres is running again')
    } catch (error) {
      ended = Promise.resolve(messageOf(error))
    }
  }
}

function lastComplaint(words: string): string {
  const lines = words.trimEnd().split('\n')
  return lines.findLast((line) => /\b(FATAL|PANIC|error):/.test(line)) ?? lines.at(-1) ?? 'no reason given'
}

function startFailure(cluster: string, words: string): Error {
  return new Error(`Postgres cannot start in ${cluster}: ${explanation(words)}`)
}

function explanation(words: string): string {
  if (/No space left on device|ENOSPC/.test(words)) return 'the disk is full'
  if (/Permission denied|EACCES|wrong ownership|invalid permissions/.test(words)) {
    return 'the files there belong to another user; start the service as that user, or chown them'
  }
  if (/incompatible with server/.test(words)) {
    return 'another version of Postgres made it; move it away, and it is built again from the events'
  }
  if (/already exists|still in use/.test(words)) return 'another server still uses it'
  return lastComplaint(words)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
