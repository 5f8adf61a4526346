import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { EventStoreDBClient } from '@eventstore/db-client'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startEventStoreNode } from '../../../src/embedded/event-store/node.ts'
import { collect, someEvents } from './node-under-test.ts'

const ROUNDS = 5
const WRITERS = 16
const APPENDS_BEFORE_KILL = 300

let directory: string
let running: ChildProcess | undefined
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'event-store-crash-'))
})
afterEach(() => {
  running?.kill('SIGKILL')
  rmSync(directory, { recursive: true })
})

async function spawnNode(): Promise<{ node: ChildProcess; url: string }> {
  const script = fileURLToPath(new URL('./node-process.ts', import.meta.url))
  const node = spawn(process.execPath, [script, directory], { stdio: ['pipe', 'pipe', 'inherit'] })
  running = node
  const [url] = await once(createInterface(node.stdout), 'line')
  return { node, url: String(url) }
}

test('kill -9 under load, again and again: what was acknowledged is there, once, and no stream has a gap', async () => {
  const acknowledged = new Map<string, { stream: string; revision: number; position: number }>()
  for (let round = 0; round < ROUNDS; round += 1) {
    const { node, url } = await spawnNode()
    const client = EventStoreDBClient.connectionString(url)
    const exited = once(node, 'exit')
    let appended = 0
    await Promise.all(
      Array.from({ length: WRITERS }, async (_, writer) => {
        const stream = `crash-${writer}`
        for (;;) {
          const events = someEvents(1 + (appended % 3))
          const result = await client.appendToStream(stream, events).catch(() => undefined)
          if (result?.position === undefined) return
          for (const [index, { id }] of events.entries()) {
            const behind = events.length - 1 - index
            const revision = Number(result.nextExpectedRevision) - behind
            acknowledged.set(id, { stream, revision, position: Number(result.position.commit) - behind })
          }
          appended += 1
          if (appended === APPENDS_BEFORE_KILL) node.kill('SIGKILL')
        }
      }),
    )
    await exited
    await client.dispose()
  }

  const { node, url } = await spawnNode()
  const client = EventStoreDBClient.connectionString(url)
  const stored = (await collect(client.readAll())).flatMap(({ event }) =>
    event === undefined ? [] : [event],
  )
  const places = new Map(
    stored.map((event) => [
      event.id,
      { stream: event.streamId, revision: Number(event.revision), position: Number(event.position?.commit) },
    ]),
  )
  expect(places.size).toBe(stored.length)
  expect(acknowledged.size).toBeGreaterThanOrEqual(ROUNDS * APPENDS_BEFORE_KILL)
  for (const [id, place] of acknowledged) expect(places.get(id)).toEqual(place)
  for (const [stream, events] of Map.groupBy(stored, (event) => event.streamId)) {
    expect([stream, ...events.map(({ revision }) => Number(revision))]).toEqual([stream, ...events.keys()])
  }
  await client.dispose()
  node.stdin?.end()
  expect(await once(node, 'exit')).toEqual([0, null])
})

test('a node in another process holds the log alone', async () => {
  const { node } = await spawnNode()
  await expect(startEventStoreNode({ dataDir: directory })).rejects.toThrow(
    /in use by another event store node/,
  )
  node.stdin?.end()
  await once(node, 'exit')
  const next = await startEventStoreNode({ dataDir: directory })
  await next.close()
})

test('a stopping node ends subscriptions with UNAVAILABLE', async () => {
  const { node, url } = await spawnNode()
  const client = EventStoreDBClient.connectionString(url)
  const subscription = client.subscribeToAll()
  const ended = expect(collect(subscription)).rejects.toMatchObject({ type: 'unavailable' })
  await once(subscription, 'caughtUp')
  node.stdin?.end()
  await ended
  expect(await once(node, 'exit')).toEqual([0, null])
})
