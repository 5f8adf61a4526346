import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { type IntakeHealth, openIntake } from '../../../../src/integrations/kafka/intake/index.ts'
import { waitFor } from '../../../support/wait-for.ts'
import type { IntakeProcessOptions } from './intake-process.ts'

export interface RunningIntake extends AsyncDisposable {
  readonly health: () => IntakeHealth | undefined
  /** Resolves when its health is so. */
  readonly is: (described: string, condition: (health: IntakeHealth) => boolean) => Promise<unknown>
  /** In order. */
  readonly stop: () => Promise<unknown>
}

/** An intake in this process that works until it is disposed. */
export function runIntake(
  options: Omit<Parameters<typeof openIntake>[0], 'settings' | 'log'> & {
    readonly brokers: readonly string[]
    readonly topicPrefix: string
  },
): RunningIntake {
  const { brokers, topicPrefix, ledger } = options
  const intake = openIntake({
    settings: { brokers, topicPrefix },
    ledger,
    log: pino({ level: process.env.TEST_LOG_LEVEL ?? 'silent' }),
  })
  const ending = new AbortController()
  const running = intake.take(ending.signal)
  const stop = async () => {
    ending.abort()
    await running
  }
  return { ...watched(intake.health), stop, [Symbol.asyncDispose]: stop }
}

export interface IntakeProcess extends RunningIntake {
  /** kill -9. */
  readonly kill: () => Promise<void>
}

const program = fileURLToPath(new URL('intake-process.ts', import.meta.url))

export function startIntakeProcess(options: IntakeProcessOptions): IntakeProcess {
  const child = spawn(process.execPath, [program, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let health: IntakeHealth | undefined
  createInterface(child.stdout).on('line', (line) => {
    health = JSON.parse(line)
  })
  const kill = () => end(child, 'SIGKILL')
  return { ...watched(() => health), kill, stop: () => end(child, 'SIGTERM'), [Symbol.asyncDispose]: kill }
}

function watched(health: RunningIntake['health']): Pick<RunningIntake, 'health' | 'is'> {
  return {
    health,
    is: (described, condition) =>
      waitFor(
        () => {
          const now = health()
          return now !== undefined && condition(now)
        },
        { describe: `the intake ${described}` },
      ).catch((error: unknown) => {
        throw new Error(`the intake is ${JSON.stringify(health())}`, { cause: error })
      }),
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill(signal)
  await once(child, 'exit')
}
