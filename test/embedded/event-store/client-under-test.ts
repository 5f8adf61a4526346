import { EventStoreDBClient } from '@eventstore/db-client'
import { afterAll, beforeAll } from 'vitest'
import { startTestEventStore, type TestEventStore } from '../../support/event-store.ts'
import { isMissing, service } from '../../support/services.ts'

/** Whether this run's event store is the node of this project; what only it does is tested only then. */
export const isOurNode = () => service('event store').from === 'embedded'

/**
 * One official client for a test file, of whichever event store this run has: what passes with EventStoreDB in a container
 * and with our node is true of both. That store may be shared, so tests keep to streams of their own.
 */
export function useClient(): { readonly client: EventStoreDBClient; readonly url: string } {
  let store: TestEventStore
  let client: EventStoreDBClient
  beforeAll(async () => {
    if (isMissing('event store')) return
    store = await startTestEventStore()
    client = EventStoreDBClient.connectionString(store.url)
  })
  afterAll(async () => {
    await client?.dispose()
    await store?.close()
  })
  return {
    get client() {
      return client
    },
    get url() {
      return store.url
    },
  }
}
