/** The processes that are measured: each a child of the bench, on a free loopback port and with state of its own. */
import { type ChildProcess, fork, type Serializable, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const accessKey = 'an-access-key-for-the-bench-only'

export interface Running extends AsyncDisposable {
  readonly port: number
}

/** The service as `make run` starts it, with logs as in production and read by nobody. */
export async function startService(
  environment: Record<string, string> = {},
): Promise<Running & { readonly pid: number }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'incident-ledger-bench-'))
  const port = await freePort()
  const child = spawn(process.execPath, [fileURLToPath(new URL('../src/main.ts', import.meta.url))], {
    env: {
      PATH: process.env.PATH,
      DATA_DIR: dataDir,
      PORT: String(port),
      X_ACCESS_KEY: accessKey,
      LOG_FORMAT: 'json',
      ...environment,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  await answers(`http://127.0.0.1:${port}/health/ready`, child)
  return {
    port,
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      await end(child)
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** Resolves when the service's queries show the event of this index. */
export async function caughtUp(
  port: number,
  headers: Readonly<Record<string, string>>,
  lastIndex: number,
): Promise<void> {
  for (;;) {
    const health = await fetch(`http://127.0.0.1:${port}/health`, { headers })
    const { lag } = (await health.json()) as { lag: { announcedIndex: number } }
    if (lag.announcedIndex >= lastIndex) return
    await delay(200)
  }
}

/** A bare Fastify that answers these bytes. */
export async function startBareFastify(body: string): Promise<Running> {
  const child = fork(fileURLToPath(new URL('bare-fastify.ts', import.meta.url)), [body])
  const { port } = (await told(child)) as { port: number }
  return { port, [Symbol.asyncDispose]: () => end(child) }
}

/** What a bench script that runs as a process of its own says at its end. */
export async function resultOf(script: string, ...words: string[]): Promise<Serializable> {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), words)
  const [result] = await Promise.all([told(child), once(child, 'exit')])
  return result
}

export async function startRedis(): Promise<(Running & { readonly url: string }) | undefined> {
  const port = await freePort()
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], {
    stdio: 'ignore',
  })
  const failed = once(child, 'error').then(() => true)
  failed.catch(() => {})
  if (await Promise.race([failed, delay(500, false)])) return undefined
  return { port, url: `redis://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => end(child) }
}

async function told(child: ChildProcess): Promise<Serializable> {
  const [message] = await once(child, 'message')
  return message
}

async function answers(url: string, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const ready = await fetch(url).then(
      (response) => response.ok,
      () => false,
    )
    if (ready) return
    await delay(50)
  }
  throw new Error(`the service ended at its start with exit code ${child.exitCode}`)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
