import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { PublisherHealth } from '../../../src/integrations/kafka/publisher.ts'
import { waitFor } from '../../support/wait-for.ts'
import type { PublisherProcessOptions } from './publisher-process.ts'

const program = fileURLToPath(new URL('publisher-process.ts', import.meta.url))

export interface PublisherProcess extends AsyncDisposable {
  readonly health: () => PublisherHealth | undefined
  /** Resolves when it has published an event of at least this index. */
  readonly reached: (index: number) => Promise<unknown>
  /** kill -9. */
  readonly kill: () => Promise<void>
}

export function startPublisherProcess(options: PublisherProcessOptions): PublisherProcess {
  const child = spawn(process.execPath, [program, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let health: PublisherHealth | undefined
  createInterface(child.stdout).on('line', (line) => {
    health = JSON.parse(line)
  })
  const kill = () => end(child)
  const reached = (index: number) => {
    if (child.exitCode !== null) throw new Error(`the publisher's process ended with ${child.exitCode}`)
    return (health?.publishedIndex ?? -1) >= index
  }
  return {
    health: () => health,
    reached: (index) =>
      waitFor(() => reached(index), { describe: `event ${index} is published` }).catch((error: unknown) => {
        throw new Error(`the publisher is ${JSON.stringify(health)}`, { cause: error })
      }),
    kill,
    [Symbol.asyncDispose]: kill,
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
