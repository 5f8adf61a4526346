import { LedgerError } from '../../../src/ledger/errors.ts'
import type { AppendAttempt, EventStore, StoredEvent } from '../../../src/ledger/event-store.ts'

/** What may befall an append. `lost`: it is not done and not answered; `unanswered`: it is done. */
export type Mishap = 'none' | 'lost' | 'unanswered' | 'unsent' | 'refused'

export interface MemoryStore extends EventStore {
  /** Of every stream but vaults and streams' own metadata. */
  readonly all: readonly StoredEvent[]
  /** Of those. */
  readonly vaults: readonly StoredEvent[]
  /** What befalls the appends to come, in order; after them, nothing. */
  readonly mishaps: Mishap[]
  /** While true, reads fail. */
  away: boolean
  /** Called before each append, as another writer might come between. */
  beforeAppend: (stream: string) => Promise<void>
  appends: number
  reads: number
  /** Of vaults, which are not counted in `reads`. */
  vaultReads: number
}

/**
 * An event store in memory, with the rules for exact revisions that EventStoreDB has, $maxCount, and with mishaps. Those befall appends to the
 * streams of the ledger only: keys are made ahead, when no test knows.
 */
export function openMemoryStore(): MemoryStore {
  const everything: StoredEvent[] = []
  const mostEvents = new Map<string, number>()
  const streams = new Map<string, StoredEvent[]>()

  function appended(
    stream: string,
    events: Parameters<EventStore['append']>[1],
    expectedRevision: number,
  ): AppendAttempt {
    const kept = streams.get(stream) ?? []
    const current = kept.length - 1
    if (expectedRevision !== current) {
      const same = events.every((event, i) => kept[expectedRevision + 1 + i]?.id === event.id)
      const last = kept[expectedRevision + events.length]
      return same && last ? { outcome: 'appended', position: last.position } : { outcome: 'conflict' }
    }
    for (const event of structuredClone(events)) {
      const commit = BigInt(everything.length + 1) * 100n
      const stored = { ...event, stream, revision: kept.length, position: { commit, prepare: commit } }
      kept.push(stored)
      everything.push(stored)
      if (stream.startsWith('$$')) mostEvents.set(stream.slice(2), maxCountOf(event.data))
    }
    streams.set(stream, kept)
    const last = kept.at(-1)
    if (!last) throw new Error('an append of no events to no stream')
    return { outcome: 'appended', position: last.position }
  }

  function reachable<T>(found: T, reads = 1): T {
    if (store.away) throw new LedgerError({ code: 'event-store-unavailable', reason: 'away' })
    store.reads += reads
    return found
  }

  /** What $maxCount leaves of the stream. */
  const living = (stream: string) =>
    (streams.get(stream) ?? []).slice(-(mostEvents.get(stream) ?? Number.MAX_SAFE_INTEGER))
  const isLiving = (event: StoredEvent) => living(event.stream).includes(event)

  const store: MemoryStore = {
    get all() {
      return everything.filter(({ stream }) => !isAside(stream))
    },
    get vaults() {
      return everything.filter((event) => isAside(event.stream) && isLiving(event))
    },
    mishaps: [],
    away: false,
    beforeAppend: async () => {},
    appends: 0,
    reads: 0,
    vaultReads: 0,
    append: async (stream, events, expectedRevision) => {
      if (isAside(stream)) return reachable(appended(stream, events, expectedRevision), 0)
      await store.beforeAppend(stream)
      store.appends += 1
      const mishap = store.mishaps.shift() ?? 'none'
      switch (mishap) {
        case 'none':
          return appended(stream, events, expectedRevision)
        case 'unanswered':
          appended(stream, events, expectedRevision)
          return { outcome: 'unknown', reason: 'unanswered' }
        case 'lost':
          return { outcome: 'unknown', reason: 'lost' }
        case 'unsent':
        case 'refused':
          return { outcome: mishap, reason: mishap }
        default:
          return mishap satisfies never
      }
    },
    readStream: async (stream, { fromRevision = 0, maxCount }) => {
      if (isAside(stream)) store.vaultReads += 1
      return reachable(
        living(stream)
          .filter(({ revision }) => revision >= fromRevision)
          .slice(0, maxCount),
        isAside(stream) ? 0 : 1,
      )
    },
    readLast: async (stream) => reachable(living(stream).at(-1), isAside(stream) ? 0 : 1),
    readAt: async ({ commit }) => reachable(everything.find(({ position }) => position.commit === commit)),
    follow: async function* ({ after, prefixes, types, batchSize, signal, onConfirmed }) {
      onConfirmed()
      const wanted = everything.filter(
        (event) =>
          event.position.commit > (after?.commit ?? 0n) &&
          (types
            ? types.some((type) => event.type.startsWith(type))
            : prefixes.some((prefix) => event.stream.startsWith(prefix))) &&
          isLiving(event),
      )
      if (wanted.length === 0) yield { events: [], caughtUp: true }
      for (let i = 0; i < wanted.length && !signal.aborted; i += batchSize) {
        const events = reachable(wanted.slice(i, i + batchSize))
        yield { events, caughtUp: i + batchSize >= wanted.length }
      }
      throw new Error('the connection was lost')
    },
    close: async () => {},
  }
  return store
}

function isAside(stream: string): boolean {
  return stream.startsWith('vault-') || stream.startsWith('$$')
}

function maxCountOf(metadata: object): number {
  return '$maxCount' in metadata && typeof metadata.$maxCount === 'number'
    ? metadata.$maxCount
    : Number.MAX_SAFE_INTEGER
}
