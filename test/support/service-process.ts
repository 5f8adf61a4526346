import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { freePort } from './free-port.ts'
import { waitFor } from './wait-for.ts'

/** The service as a process of the test's own, which faults can happen to. */
export interface ServiceProcess extends AsyncDisposable {
  readonly url: string
  /** Of the present process: another one after each restart. */
  readonly pid: number
  /** What it has printed so far, over all its starts. */
  readonly output: () => string
  readonly call: (method: string, path: string, request?: CallOptions) => Promise<Answer>
  /** Ends it with SIGINT, as Ctrl-C does; resolves to the exit code. */
  readonly stop: () => Promise<number | null>
  /** kill -9 of the service; embedded Postgres outlives it, as an orphan. */
  readonly kill: () => Promise<void>
  /** Starts it again on the same port with the same environment. */
  readonly start: () => Promise<void>
}

export interface CallOptions {
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** The JSON of the body; undefined where there is none. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came back
  readonly body: any
}

export const accessKey = 'an-access-key-for-the-tests-only'
const program = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** Starts the service with this environment and nothing else of the test run's own; resolves once it is ready. */
export async function startService(environment: Record<string, string>): Promise<ServiceProcess> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  let output = ''
  let child = run()
  await ready()

  function run(): ChildProcess {
    const { PATH = '', HOME = '' } = process.env
    const started = spawn(process.execPath, [program], {
      env: { PATH, HOME, PORT: String(port), X_ACCESS_KEY: accessKey, LOG_FORMAT: 'json', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [started.stdout, started.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
    }
    // It must not outlive a test run that is broken off.
    const killWithUs = () => started.kill('SIGKILL')
    process.once('exit', killWithUs)
    started.once('exit', () => process.off('exit', killWithUs))
    return started
  }

  function ready(): Promise<unknown> {
    return waitFor(
      async () => {
        if (child.exitCode !== null) return true
        return (await fetch(`${url}/health/ready`)).ok
      },
      { describe: `the service is ready; it printed: ${output}` },
    ).then(() => {
      if (child.exitCode !== null) throw new Error(`the service ended at its start: ${output}`)
    })
  }

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal)
      await once(child, 'exit')
    }
    return child.exitCode
  }

  const call = (method: string, path: string, options: CallOptions = {}) =>
    callService(url, method, path, options)
  return {
    url,
    get pid() {
      return child.pid ?? 0
    },
    output: () => output,
    call,
    stop: () => end('SIGINT'),
    kill: async () => void (await end('SIGKILL')),
    start: async () => {
      child = run()
      await ready()
    },
    [Symbol.asyncDispose]: async () => void (await end('SIGINT')),
  }
}

/** One request with the tests' access key. Rejects where no answer came. */
export async function callService(
  url: string,
  method: string,
  path: string,
  { body, headers = {} }: CallOptions = {},
): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      'x-access-key': accessKey,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : JSON.parse(text),
  }
}
