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

interface Place {
  readonly streamId: number
  readonly revision: number
  /** Where in the ring the event stands; an id that was written twice stands there twice, and only the newer counts. */
  readonly slot: number
}

export function createRecentIds(database: DatabaseSync): RecentIds {
  const places = new Map<string, Place>()
  // The ids in the order they came in, as a ring: asking a Map for its oldest key costs more the more were deleted.
  const order = new Array<string | undefined>(REMEMBERED_EVENTS)
  let next = 0

  function remember(streamId: number, eventId: string, revision: number): void {
    const forgotten = order[next]
    if (forgotten !== undefined && places.get(forgotten)?.slot === next) places.delete(forgotten)
    order[next] = eventId
    places.set(eventId, { streamId, revision, slot: next })
    next = (next + 1) % REMEMBERED_EVENTS
  }

  function reset(): void {
    places.clear()
    order.fill(undefined)
    for (const row of newestReadable().reverse()) {
      if (row.id instanceof Uint8Array) remember(Number(row.stream), formatUuid(row.id), Number(row.revision))
    }
  }

  /** A damaged page among them ends the memory there, not the node: what is sound stays readable. */
  function newestReadable(): Record<string, unknown>[] {
    const selectRecent = database.prepare(
      'SELECT id, stream, revision FROM event ORDER BY position DESC LIMIT ?',
    )
    const rows: Record<string, unknown>[] = []
    try {
      for (const row of selectRecent.iterate(REMEMBERED_EVENTS)) rows.push(row)
    } catch {}
    return rows
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
