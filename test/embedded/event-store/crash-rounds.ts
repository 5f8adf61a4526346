import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { EventStoreDBClient, type ResolvedEvent } from '@eventstore/db-client'
import { checkLog } from '../../../src/embedded/event-store/fsck.ts'
import { collect, someEvents } from './node-under-test.ts'

const WRITERS = 16

/** What stood in a log after a kill, all of it found right. */
export interface VerifiedRound {
  /** Events of all answered appends so far; each is at its place, once. */
  readonly answered: number
  /** Events read back: these, and of the last appends before each kill those that were kept without an answer. */
  readonly stored: number
  readonly streams: number
}

interface Place {
  readonly stream: string
  readonly revision: number
  readonly position: number
}

/** A node in a process of its own. */
export async function spawnNode(directory: string): Promise<{ node: ChildProcess; url: string }> {
  const script = fileURLToPath(new URL('./node-process.ts', import.meta.url))
  const node = spawn(process.execPath, [script, directory], { stdio: ['pipe', 'pipe', 'inherit'] })
  const killWithUs = () => node.kill('SIGKILL')
  process.once('exit', killWithUs)
  node.once('exit', () => process.off('exit', killWithUs))
  const [url] = await once(createInterface(node.stdout), 'line')
  return { node, url: String(url) }
}

/**
 * Kills a node again and again while many write, starts it anew each time, and verifies what it then holds. Every
 * round appends at least `appends` times, kills at a moment of its own, and yields what was verified.
 *
 * @throws Error that says what is wrong with the log.
 */
export async function* crashRounds(
  directory: string,
  rounds: number,
  appends: number,
): AsyncGenerator<VerifiedRound> {
  const answered = new Map<string, Place>()
  let { node, url } = await spawnNode(directory)
  for (let round = 0; round < rounds; round += 1) {
    const client = EventStoreDBClient.connectionString(url)
    const exited = once(node, 'exit')
    await writeUntilKilled(client, answered, appends + (round % 7), () => node.kill('SIGKILL'))
    await exited
    await client.dispose()
    refuseFaults(join(directory, 'events.sqlite'))
    ;({ node, url } = await spawnNode(directory))
    const reader = EventStoreDBClient.connectionString(url)
    const stored = await collect(reader.readAll())
    await reader.dispose()
    yield { answered: answered.size, ...verify(stored, answered) }
  }
  const exited = once(node, 'exit')
  node.stdin?.end()
  const [code] = await exited
  if (code !== 0) throw new Error(`the node stopped with exit code ${code}`)
}

async function writeUntilKilled(
  client: EventStoreDBClient,
  answered: Map<string, Place>,
  appends: number,
  kill: () => void,
): Promise<void> {
  let made = 0
  await Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) => {
      const stream = `crash-${writer}`
      for (;;) {
        const events = someEvents(1 + (made % 3))
        const result = await client.appendToStream(stream, events).catch(() => undefined)
        if (result?.position === undefined) return
        for (const [index, { id }] of events.entries()) {
          const behind = events.length - 1 - index
          const revision = Number(result.nextExpectedRevision) - behind
          answered.set(id, { stream, revision, position: Number(result.position.commit) - behind })
        }
        made += 1
        if (made === appends) kill()
      }
    }),
  )
}

function refuseFaults(file: string): void {
  for (const { what, faults } of checkLog(file))
    if (faults.length > 0) throw new Error(`${what}: ${faults.join('; ')}`)
}

function verify(read: readonly ResolvedEvent[], answered: ReadonlyMap<string, Place>) {
  const lengths = new Map<string, number>()
  const ids = new Set<string>()
  let found = 0
  for (const [index, { event }] of read.entries()) {
    if (event === undefined) throw new Error('an event is missing from what was read')
    const { id, streamId: stream } = event
    const place = { stream, revision: Number(event.revision), position: Number(event.position?.commit) }
    if (place.position !== index + 1) throw new Error(`position ${index + 1} has no event`)
    if (place.revision !== (lengths.get(stream) ?? 0))
      throw new Error(`${stream} has a gap at ${place.revision}`)
    if (ids.has(id)) throw new Error(`${id} is there twice`)
    const promised = answered.get(id)
    if (promised !== undefined) {
      found += 1
      if (JSON.stringify(promised) !== JSON.stringify(place)) {
        throw new Error(`${id} was answered as ${JSON.stringify(promised)} and is ${JSON.stringify(place)}`)
      }
    }
    ids.add(id)
    lengths.set(stream, place.revision + 1)
  }
  if (found !== answered.size) throw new Error(`${answered.size - found} answered events are lost`)
  return { stored: read.length, streams: lengths.size }
}
