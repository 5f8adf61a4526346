import {
  type AppendExpectedRevision,
  type EventData,
  EventStoreDBClient,
  jsonEvent,
  type ResolvedEvent,
} from '@eventstore/db-client'
import { afterAll, beforeAll } from 'vitest'
import { type EventStoreNodeThread, startEventStoreNode } from '../../../src/embedded/event-store/node.ts'

/**
 * One node in memory and one official client for a test file: the client's pending appends are global to its process,
 * so a second client would disturb the first.
 */
export function useNode(): { readonly client: EventStoreDBClient; readonly url: string } {
  let node: EventStoreNodeThread
  let client: EventStoreDBClient
  beforeAll(async () => {
    node = await startEventStoreNode({ dataDir: undefined })
    client = EventStoreDBClient.connectionString(node.url)
  })
  afterAll(async () => {
    await client.dispose()
    await node.close()
  })
  return {
    get client() {
      return client
    },
    get url() {
      return node.url
    },
  }
}

/** Appends by the given call of the protocol: credentials make the client choose the unary one. */
export function appendBy(call: 'unary' | 'batch', client: EventStoreDBClient) {
  return (stream: string, events: EventData | EventData[], expectedRevision: AppendExpectedRevision) =>
    client.appendToStream(stream, events, {
      expectedRevision,
      ...(call === 'unary' ? { credentials: { username: 'admin', password: 'changeit' } } : {}),
    })
}

export function someEvents(count: number, type = 'Something'): EventData[] {
  return Array.from({ length: count }, (_, number) => jsonEvent({ type, data: { number } }))
}

export function newStream(prefix = 'stream'): string {
  return `${prefix}-${crypto.randomUUID()}`
}

export async function collect(events: AsyncIterable<ResolvedEvent>): Promise<ResolvedEvent[]> {
  return Array.fromAsync(events)
}
