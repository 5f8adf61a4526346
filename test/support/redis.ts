import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Redis } from 'ioredis'
import { freePort } from './free-port.ts'
import { service } from './services.ts'

export type TestRedis = AsyncDisposable & {
  readonly url: string
  /** Empties the database of the URL, as an operator's FLUSHDB would. */
  flush(): Promise<void>
  close(): Promise<void>
}

/** A redis-server of the test's own, which faults can happen to. */
export type RedisProcess = TestRedis & {
  /** It keeps its connections and accepts new ones, but answers nothing. */
  pause(): void
  resume(): void
  /** kill -9: connections are reset, new ones refused. */
  kill(): Promise<void>
  /** Kills it if it runs, and starts it again on the same port, empty. */
  restart(): Promise<void>
}

/** A Redis for a test file, from where this run takes it; one that the environment names is shared, so its keys may be others'. */
export async function startRedis(): Promise<TestRedis> {
  const finding = service('Redis')
  switch (finding.from) {
    case 'environment':
      return testRedis(finding.url, async () => {})
    case 'container': {
      const { RedisContainer } = await import('@testcontainers/redis')
      const container = await new RedisContainer('redis:7').start()
      return testRedis(container.getConnectionUrl(), async () => void (await container.stop()))
    }
    default:
      return startRedisProcess()
  }
}

/** For tests of faults: needs `redis-server` on PATH, `isMissing('Redis process')` tells. */
export async function startRedisProcess(): Promise<RedisProcess> {
  const port = await freePort()
  let server = await startServer(port)
  const kill = () => end(server)
  return {
    ...testRedis(`redis://127.0.0.1:${port}`, kill),
    pause: () => void server.kill('SIGSTOP'),
    resume: () => void server.kill('SIGCONT'),
    kill,
    async restart() {
      await kill()
      server = await startServer(port)
    },
  }
}

function testRedis(url: string, close: () => Promise<void>): TestRedis {
  return {
    url,
    async flush() {
      const client = new Redis(url, { lazyConnect: true })
      await client.connect()
      await client.flushdb()
      await client.quit()
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function startServer(port: number): Promise<ChildProcess> {
  const persistNothing = ['--save', '', '--appendonly', 'no']
  const server = spawn('redis-server', ['--bind', '127.0.0.1', '--port', String(port), ...persistNothing], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  // It must not outlive a test run that is broken off.
  const killWithUs = () => server.kill('SIGKILL')
  process.once('exit', killWithUs)
  server.once('exit', () => process.off('exit', killWithUs))

  const lines: string[] = []
  const ready = Promise.withResolvers<void>()
  createInterface(server.stdout).on('line', (line) => {
    lines.push(line)
    if (line.includes('Ready to accept connections')) ready.resolve()
  })
  const ended = once(server, 'close').then(() => {
    throw new Error(`redis-server ended before it was ready:\n${lines.join('\n')}`)
  })
  // Its end is news only until then.
  ended.catch(() => {})
  await Promise.race([ready.promise, ended])
  return server
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  server.kill('SIGKILL')
  await once(server, 'exit')
}
