import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client'
import { expect, test } from 'vitest'
import { startEventStoreProcess, startTestEventStore } from './event-store.ts'
import { isMissing } from './services.ts'
import { waitFor } from './wait-for.ts'

test.skipIf(isMissing('event store'))('a test file gets an event store that takes events', async () => {
  await using store = await startTestEventStore()
  const client = EventStoreDBClient.connectionString(store.url)
  expect(await client.appendToStream(`test-${crypto.randomUUID()}`, happened())).toMatchObject({
    success: true,
  })
  await client.dispose()
})

test('an event store process keeps what it answered when it is killed, and comes back at the same address', async () => {
  await using store = await startEventStoreProcess()
  const client = EventStoreDBClient.connectionString(store.url)
  await client.appendToStream('test-1', happened())
  const { pid } = store
  await store.kill()
  await expect(readTypes(client)).rejects.toThrow()
  await store.restart()
  expect(store.pid).not.toBe(pid)
  const types = await waitFor(() => readTypes(client), { describe: 'the client reaches the node again' })
  expect(types).toEqual(['Happened'])
  await client.dispose()
})

const happened = () => jsonEvent({ type: 'Happened', data: {} })

async function readTypes(client: EventStoreDBClient): Promise<string[]> {
  const types: string[] = []
  for await (const { event } of client.readStream('test-1')) if (event) types.push(event.type)
  return types
}
