import { once } from 'node:events'
import { EventStoreDBClient } from '@eventstore/db-client'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startEventStoreNode } from '../../../src/embedded/event-store/node.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { crashRounds, spawnNode } from './crash-rounds.ts'
import { collect } from './node-under-test.ts'

const ROUNDS = 20
const APPENDS_BEFORE_KILL = 40

let directory: TemporaryDirectory
beforeEach(async () => {
  directory = await temporaryDirectory()
})
afterEach(() => directory.remove())

test('kill -9 under load, again and again: what was answered is there, once, and nothing is torn', async () => {
  const verified = await Array.fromAsync(crashRounds(directory.path, ROUNDS, APPENDS_BEFORE_KILL))
  expect(verified).toHaveLength(ROUNDS)
  const last = verified.at(-1)
  expect(last?.answered).toBeGreaterThanOrEqual(ROUNDS * APPENDS_BEFORE_KILL)
  expect(last?.stored).toBeGreaterThanOrEqual(last?.answered ?? 0)
  expect(last?.streams).toBe(16)
})

test('a node in another process holds the log alone', async () => {
  const { node } = await spawnNode(directory.path)
  await expect(startEventStoreNode({ dataDir: directory.path })).rejects.toThrow(
    /in use by another event store node/,
  )
  node.stdin?.end()
  await once(node, 'exit')
  const next = await startEventStoreNode({ dataDir: directory.path })
  await next.close()
})

test('a stopping node ends subscriptions with UNAVAILABLE', async () => {
  const { node, url } = await spawnNode(directory.path)
  const client = EventStoreDBClient.connectionString(url)
  const subscription = client.subscribeToAll()
  const ended = expect(collect(subscription)).rejects.toMatchObject({ type: 'unavailable' })
  await once(subscription, 'caughtUp')
  node.stdin?.end()
  await ended
  expect(await once(node, 'exit')).toEqual([0, null])
})
