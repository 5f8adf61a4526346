import type { DatabaseSync } from 'node:sqlite'
import { formatUuid } from './event-reader.ts'

/**
 * Which events were written lately, so that a repeated write that names no revision is recognised. Like the memory of
 * a real EventStoreDB it is bounded: a repeat after very many other events is written again.
 */
export interface RecentIds {
  revisionIn(streamId: number, eventId: string): number | undefined
  remember(streamId: number, eventId: string, revision: number): void
  /** Reads the memory anew from what is committed. */
  reset(): void
}

const REMEMBERED_EVENTS = 65_536

export function createRecentIds(database: DatabaseSync): RecentIds {
  const selectRecent = database.prepare(
    'SELECT id, stream, revision FROM event ORDER BY position DESC LIMIT ?',
  )
  const places = new Map<string, { streamId: number; revision: number }>()

  function remember(streamId: number, eventId: string, revision: number): void {
    places.delete(eventId)
    places.set(eventId, { streamId, revision })
    if (places.size <= REMEMBERED_EVENTS) return
    const [oldest] = places.keys()
    if (oldest !== undefined) places.delete(oldest)
  }

  function reset(): void {
    places.clear()
    for (const row of selectRecent.all(REMEMBERED_EVENTS).reverse()) {
      if (row.id instanceof Uint8Array) remember(Number(row.stream), formatUuid(row.id), Number(row.revision))
    }
  }

  reset()
  return {
    revisionIn(streamId, eventId) {
      const place = places.get(eventId)
      return place?.streamId === streamId ? place.revision : undefined
    },
    remember,
    reset,
  }
}
