import type { LedgerPosition } from '../event.ts'
import { metadataStream, orderedPrefixes, vaultPrefix } from '../streams.ts'
import type { RawEvent, RawStore } from './raw-store.ts'

/** What a store holds of a ledger, as far as it was looked through: what is alive of it cannot be told event by event. */
export interface Survey {
  /** Reads on to the end of the store as it is now. Throws `event-store-unavailable`, and what the signal aborts with. */
  readonly advance: (signal: AbortSignal, onEvents?: (events: number) => void) => Promise<void>
  /** Whether a reader of its stream still gets the event. */
  readonly isAlive: (event: RawEvent) => boolean
  /** Events of the streams that are copied in order, with those that were deleted where the store still shows them. */
  readonly events: () => number
  /** The id of the event that each vault now consists of, by stream. */
  readonly vaults: () => ReadonlyMap<string, string>
  /** The metadata of the streams that have any and were not deleted, by stream. */
  readonly metadata: () => ReadonlyMap<string, StreamMetadata>
}

/** What EventStoreDB calls $maxCount and so on. */
export type StreamMetadata = Readonly<Record<string, unknown>>

const pageSize = 5_000
const tombstoneType = '$streamDeleted'
const prefixes = [...orderedPrefixes, vaultPrefix]
const metadataPrefixes = prefixes.map(metadataStream)
const metadataMark = metadataStream('')

/**
 * Looks through $all: EventStoreDB shows there what was deleted or truncated until its next scavenge, and says in other events, which
 * come later, that it was. (The embedded node shows none of it.)
 */
export function openSurvey(store: Pick<RawStore, 'readAll'>): Survey {
  const metadata = new Map<string, StreamMetadata>()
  const tombstones = new Set<string>()
  /** Of the streams that have metadata: those of all others would be millions. */
  const newest = new Map<string, { readonly id: string; readonly revision: number }>()
  let events = 0
  let after: LedgerPosition | undefined

  function take({ stream, type, id, revision, data }: RawEvent): void {
    if (stream.startsWith(metadataMark)) metadata.set(stream.slice(metadataMark.length), metadataOf(data))
    else if (type === tombstoneType) tombstones.add(stream)
    else {
      if (metadata.has(stream) || stream.startsWith(vaultPrefix)) newest.set(stream, { id, revision })
      if (!stream.startsWith(vaultPrefix)) events += 1
    }
  }

  const isDeleted = (stream: string) =>
    tombstones.has(stream) || truncationOf(metadata.get(stream)) > Number.MAX_SAFE_INTEGER

  return {
    advance: async (signal, onEvents) => {
      for (;;) {
        signal.throwIfAborted()
        const page = await store.readAll({
          after,
          prefixes: [...prefixes, ...metadataPrefixes],
          maxCount: pageSize,
        })
        for (const event of page) take(event)
        after = page.at(-1)?.position ?? after
        onEvents?.(events)
        if (page.length < pageSize) return
      }
    },
    isAlive: ({ stream, revision, type }) => {
      if (type === tombstoneType || isDeleted(stream)) return false
      const about = metadata.get(stream)
      if (!about) return true
      const most = numberOf(about.$maxCount) ?? Number.POSITIVE_INFINITY
      const last = newest.get(stream)?.revision ?? revision
      return revision >= truncationOf(about) && revision > last - most
    },
    events: () => events,
    vaults: () =>
      new Map(
        [...newest].flatMap(([stream, { id }]) =>
          stream.startsWith(vaultPrefix) && !isDeleted(stream) ? [[stream, id] as const] : [],
        ),
      ),
    metadata: () => new Map([...metadata].filter(([stream]) => !isDeleted(stream))),
  }
}

/** The first revision that is left. Of a deleted stream EventStoreDB says 2^63 − 1, until it is written to again. */
function truncationOf(about: StreamMetadata | undefined): number {
  return numberOf(about?.$tb) ?? 0
}

function metadataOf(data: Uint8Array): StreamMetadata {
  try {
    return Object(JSON.parse(Buffer.from(data).toString()))
  } catch {
    return {}
  }
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}
