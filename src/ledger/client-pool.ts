import { EventStoreDBClient } from '@eventstore/db-client'

/** A client that may have to be replaced by a fresh one. */
export interface SharedClient {
  readonly current: () => EventStoreDBClient
  /** `spent` remembers an error for good; who asks next gets a new client. What still runs on the old one may end there. */
  readonly replace: (spent: EventStoreDBClient) => void
  readonly release: () => Promise<void>
}

interface Entry {
  client: EventStoreDBClient
  users: number
}

/**
 * One client for each connection string in this process, however often the ledger is opened: db-client keeps the appends under
 * way of all its clients in one map of the process, so that an error or the end of one client would reject the other's.
 */
const entries = new Map<string, Entry>()

export function shareClient(url: string): SharedClient {
  const entry = entries.get(url) ?? { client: EventStoreDBClient.connectionString(url), users: 0 }
  entry.users += 1
  entries.set(url, entry)
  return {
    current: () => entry.client,
    replace: (spent) => {
      if (entry.client === spent) entry.client = EventStoreDBClient.connectionString(url)
    },
    release: async () => {
      entry.users -= 1
      if (entry.users > 0) return
      entries.delete(url)
      await entry.client.dispose()
    },
  }
}
