import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort } from './free-port.ts'
import { brokerProperties, kafkaProgram, logProperties, type SecureListener } from './kafka-program.ts'
import { temporaryDirectory } from './temporary-directory.ts'

export type TestKafka = AsyncDisposable & {
  /** host:port of each, as in KAFKA_BROKERS. */
  readonly brokers: readonly string[]
  /** Of this caller's topics: a broker that the environment names is shared. */
  readonly topicPrefix: string
  close(): Promise<void>
}

/** A broker of the test's own, which faults can happen to. */
export type KafkaBroker = TestKafka & {
  readonly port: number
  /** kill -9. What it acknowledged is kept. */
  kill(): Promise<void>
  /** Stops it in order (SIGTERM). */
  stop(): Promise<void>
  /** Stops it in order if it runs, and starts it again on the same port with what it had. */
  restart(): Promise<void>
}

/**
 * For tests of faults: always the broker from Maven Central, `isMissing('Kafka broker')` tells whether it can be had.
 * @param advertisedPort where clients are told to connect, for what stands between; absent: to the broker itself.
 */
export async function startKafkaBroker({
  advertisedPort,
  secure,
}: {
  readonly advertisedPort?: number
  readonly secure?: SecureListener
} = {}): Promise<KafkaBroker> {
  const { classpath, emptyLog } = await kafkaProgram()
  const directory = await temporaryDirectory()
  const port = await freePort()
  const logDirectory = join(directory.path, 'log')
  const properties = join(directory.path, 'server.properties')
  const logging = join(directory.path, 'log4j2.properties')
  await cp(emptyLog, logDirectory, { recursive: true })
  const ports = { port, controllerPort: await freePort(), advertisedPort: advertisedPort ?? port }
  await writeFile(properties, brokerProperties({ ...ports, logDirectory, secure }))
  await writeFile(logging, logProperties)
  const options = ['-Xms64m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
  const start = () =>
    startProcess([
      ...options,
      `-Dlog4j2.configurationFile=${logging}`,
      '-cp',
      classpath,
      'kafka.Kafka',
      properties,
    ])

  let broker = await start()
  const close = async () => {
    await broker.end('SIGKILL')
    await directory.remove()
  }
  return {
    brokers: [`127.0.0.1:${port}`],
    topicPrefix: '',
    close,
    [Symbol.asyncDispose]: close,
    port,
    kill: () => broker.end('SIGKILL'),
    stop: () => broker.end('SIGTERM'),
    async restart() {
      await broker.end('SIGTERM')
      broker = await start()
    },
  }
}

/**
 * Runs java with these arguments under a shell that holds its other end: when this process is gone, however that came, the
 * shell reads the end of its input and ends the broker.
 */
const keeper = `exec 3<&0
java "$@" </dev/null & broker=$!
echo "broker $broker"
exec 2>/dev/null
{ read -r _ <&3; kill -KILL $broker; } & watch=$!
wait $broker
kill $watch`

interface BrokerProcess {
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

async function startProcess(args: readonly string[]): Promise<BrokerProcess> {
  const shell = spawn('sh', ['-c', keeper, 'sh', ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  // It speaks at its end only, and may then have nobody to hear it.
  shell.stdin.on('error', () => {})
  const lines: string[] = []
  const pid = Promise.withResolvers<number>()
  const ready = Promise.withResolvers<void>()
  createInterface(shell.stdout).on('line', (line) => {
    const [, id] = /^broker (\d+)$/.exec(line) ?? []
    if (id !== undefined) pid.resolve(Number(id))
    if (line.includes('Kafka Server started')) ready.resolve()
    if (lines.push(line) > linesKept) lines.shift()
  })
  const ended = once(shell, 'close').then(() => {
    throw new Error(`the Kafka broker ended before it was ready:\n${lines.join('\n')}`)
  })
  // Its end is news only until then.
  ended.catch(() => {})
  const broker = await Promise.race([pid.promise, ended])
  await Promise.race([ready.promise, ended])
  return { end: (signal) => end(shell, broker, signal) }
}

const linesKept = 200

async function end(shell: ChildProcess, broker: number, signal: NodeJS.Signals): Promise<void> {
  if (shell.exitCode !== null || shell.signalCode !== null) return
  const ended = once(shell, 'exit')
  process.kill(broker, signal)
  await ended
}
