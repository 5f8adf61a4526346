import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { freePort } from './free-port.ts'
import { service } from './services.ts'
import { temporaryDirectory } from './temporary-directory.ts'

export type TestEventStore = AsyncDisposable & {
  readonly url: string
  close(): Promise<void>
}

/** The embedded node as a process of the test's own, which faults can happen to. */
export type EventStoreProcess = TestEventStore & {
  /** Of the present process: another one after each restart. */
  readonly pid: number
  /** kill -9. What was answered is on the disk. */
  kill(): Promise<void>
  /** Stops it in order if it runs, and starts it again on the same port with what it had. */
  restart(): Promise<void>
}

const program = fileURLToPath(new URL('event-store-process.ts', import.meta.url))
/** EventStoreDB, as docker-compose.yml runs it. */
const image = 'eventstore/eventstore:24.10'
const imagePort = 2113

/** An event store for a test file, from where this run takes it; one that the environment names is shared and not empty. */
export async function startTestEventStore(): Promise<TestEventStore> {
  const finding = service('event store')
  switch (finding.from) {
    case 'environment':
      return { url: finding.url, close: async () => {}, [Symbol.asyncDispose]: async () => {} }
    case 'container':
      return startContainer()
    default:
      return startEventStoreProcess()
  }
}

async function startContainer(): Promise<TestEventStore> {
  const { GenericContainer, Wait } = await import('testcontainers')
  const container = await new GenericContainer(image)
    .withEnvironment({
      EVENTSTORE_INSECURE: 'true',
      EVENTSTORE_CLUSTER_SIZE: '1',
      EVENTSTORE_RUN_PROJECTIONS: 'None',
      EVENTSTORE_MEM_DB: 'true',
    })
    .withExposedPorts(imagePort)
    .withWaitStrategy(Wait.forHttp('/health/live', imagePort).forStatusCodeMatching((status) => status < 300))
    .start()
  const close = async () => void (await container.stop())
  const url = `esdb://${container.getHost()}:${container.getMappedPort(imagePort)}?tls=false`
  return { url, close, [Symbol.asyncDispose]: close }
}

/** For tests of faults: always the embedded node, which this project brings along. */
export async function startEventStoreProcess(): Promise<EventStoreProcess> {
  const directory = await temporaryDirectory()
  const port = await freePort()
  let node = await startNode(directory.path, port)
  const close = async () => {
    await end(node.process, 'SIGTERM')
    await directory.remove()
  }
  return {
    url: node.url,
    get pid() {
      return node.process.pid ?? 0
    },
    kill: () => end(node.process, 'SIGKILL'),
    async restart() {
      await end(node.process, 'SIGTERM')
      node = await startNode(directory.path, port)
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function startNode(dataDir: string, port: number): Promise<{ process: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [program, dataDir, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  // It must not outlive a test run that is broken off.
  const killWithUs = () => child.kill('SIGKILL')
  process.once('exit', killWithUs)
  child.once('exit', () => process.off('exit', killWithUs))

  const ended = once(child, 'close').then(([code, signal]) => {
    throw new Error(`the event store node ended before it was ready (${signal ?? `exit code ${code}`})`)
  })
  // Its end is news only until then.
  ended.catch(() => {})
  const url = once(createInterface(child.stdout), 'line').then(([line]) => String(line))
  return { process: child, url: await Promise.race([url, ended]) }
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill(signal)
  await once(child, 'exit')
}
