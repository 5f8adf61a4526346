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
  if (entries.size === 0) process.on('unhandledRejection', overlookLostWrite)
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
      if (entries.size === 0) process.off('unhandledRejection', overlookLostWrite)
    },
  }
}

/**
 * db-client (6.2.1) waits for room in its write buffer within a promise that nobody holds; a connection that is lost meanwhile
 * rejects it, which would end this process. The append itself is rejected or runs into its deadline, so nothing is hidden.
 */
function overlookLostWrite(reason: unknown): void {
  if (isLostWrite(reason)) return
  // What Node.js does where nobody listens, as nobody else does.
  if (process.listenerCount('unhandledRejection') === 1) throw reason
}

/** An error of gRPC itself, from the stream on which db-client appends. Whoever listens for rejections, too, must pass it over. */
export function isLostWrite(reason: unknown): boolean {
  return (
    reason instanceof Error &&
    'metadata' in reason &&
    'code' in reason &&
    reason.stack?.includes('batchAppend') === true
  )
}
