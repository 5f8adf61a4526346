/** The embedded event store node in a process of its own, and the load that is put on it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type EventData, jsonEvent } from '@eventstore/db-client'
import { runEventStoreNode } from '../src/embedded/event-store/node.ts'

const self = fileURLToPath(import.meta.url)
const [script, dataDir] = process.argv.slice(1)
if (script === self && dataDir !== undefined) await run(dataDir)

/** The other process: prints its URL, answers a line with what it has used so far, and stops at the end of its input. */
async function run(directory: string): Promise<void> {
  const stop = new AbortController()
  createInterface(process.stdin)
    .on('line', () => {
      const { user, system } = process.cpuUsage()
      console.log(process.memoryUsage.rss(), user + system)
    })
    .on('close', () => stop.abort())
  await runEventStoreNode({ dataDir: directory }, stop.signal, ({ url }) => console.log(url))
}

export interface RunningNode {
  readonly url: string
  /** From the start of the process until it listened. */
  readonly startedInMs: number
  usage(): Promise<{ readonly memoryBytes: number; readonly cpuMicroseconds: number }>
  stop(): Promise<void>
}

/** With NODE_PROFILE_DIR set, the node leaves a CPU profile there when it stops. */
export async function startNode(directory: string): Promise<RunningNode> {
  const profile = process.env.NODE_PROFILE_DIR
  const options = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
  const started = performance.now()
  const node = spawn(process.execPath, [...options, self, directory], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface(node.stdout)
  const [url] = await once(lines, 'line')
  const startedInMs = performance.now() - started
  return {
    url: String(url),
    startedInMs,
    async usage() {
      node.stdin.write('\n')
      const [answer] = await once(lines, 'line')
      const [memoryBytes = 0, cpuMicroseconds = 0] = String(answer).split(' ').map(Number)
      return { memoryBytes, cpuMicroseconds }
    },
    async stop() {
      node.stdin.end()
      await once(node, 'exit')
    },
  }
}

const filler = 'x'.repeat(480)

/** About 600 bytes with its metadata. */
export function event(number: number): EventData {
  return jsonEvent({
    type: 'IncidentNoteAdded',
    data: { number, filler },
    metadata: { $correlationId: 'c', actor: { kind: 'system' } },
  })
}

/** Runs `work` `times` times, `width` of them at once; answers how many a second. */
export async function atOnce(
  width: number,
  times: number,
  work: (n: number) => Promise<unknown>,
): Promise<number> {
  let next = 0
  const started = performance.now()
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < times) await work(next++)
    }),
  )
  return perSecond(times, started)
}

export function perSecond(count: number, startedMs: number): number {
  return (count * 1000) / (performance.now() - startedMs)
}

export function report(what: string, rate: number, unit = 'appends/s'): void {
  console.log(`${what}: ${Math.round(rate).toLocaleString('en')} ${unit}`)
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
