import type { DatabaseSync } from 'node:sqlite'
import { LRUCache } from 'lru-cache'
import type { EventReader } from './event-reader.ts'
import { describedBy } from './events.ts'
import { keepEverything, keepNewest, type Retention } from './stream-metadata.ts'

/** A stream as the next write will find it: what is committed plus what is pending. `id` is set with its first write. */
export interface StreamHead extends Retention {
  readonly name: string
  readonly id: number | undefined
  readonly lastRevision: number
  readonly firstRevision: number
  readonly tombstoned: boolean
}

/** What the pending writes have changed about streams, beside their events. */
export interface StreamChanges {
  readonly created: readonly KnownStream[]
  /** Streams whose retention or tombstone has changed. */
  readonly altered: readonly KnownStream[]
  /** Streams of which events may have to be removed. */
  readonly limited: readonly KnownStream[]
}

export type KnownStream = StreamHead & { readonly id: number; firstRevision: number }

/** The heads of the streams that were written to lately. */
export interface StreamHeads {
  get(name: string): StreamHead
  /** Moves the head to `revision`, and returns the stream's id, given to it now if it had none. */
  advance(head: StreamHead, revision: number): number
  retain(head: StreamHead, retention: Retention): void
  bury(head: StreamHead): void
  /** Hands over the changes since the last time. */
  takeChanges(): StreamChanges
  /** Forgets everything that is not committed, and everything else too. */
  reset(): void
}

/** Far more than one batch can touch, so that no pending head is ever evicted. */
const CACHED_HEADS = 32_768

type MutableHead = { -readonly [Key in keyof StreamHead]: StreamHead[Key] }

export function createStreamHeads(database: DatabaseSync, reader: EventReader): StreamHeads {
  const selectLastId = database.prepare('SELECT coalesce(max(id), 0) AS last FROM stream')
  const cache = new LRUCache<string, MutableHead>({ max: CACHED_HEADS })
  let lastId = Number(selectLastId.get()?.last)
  let created = new Set<MutableHead>()
  let altered = new Set<MutableHead>()
  let limited = new Set<MutableHead>()

  function load(name: string): MutableHead {
    const stored = reader.stream(name)
    const head: MutableHead = stored ?? {
      id: undefined,
      name,
      lastRevision: -1,
      firstRevision: 0,
      tombstoned: false,
      ...(describedBy(name) === undefined ? keepEverything : keepNewest),
    }
    cache.set(name, head)
    return head
  }

  /** The cached head is the one and only: what callers hold as read-only is changed here. */
  function own(head: StreamHead): MutableHead {
    return cache.get(head.name) ?? load(head.name)
  }

  function identify(head: MutableHead): number {
    if (head.id !== undefined) return head.id
    lastId += 1
    head.id = lastId
    created.add(head)
    return head.id
  }

  return {
    get: (name) => cache.get(name) ?? load(name),
    advance(given, revision) {
      const head = own(given)
      head.lastRevision = revision
      if (
        head.tombstoned ||
        head.maxCount !== null ||
        head.maxAgeSeconds !== null ||
        head.truncateBefore > 0
      ) {
        limited.add(head)
      }
      return identify(head)
    },
    retain(given, retention) {
      const head = own(given)
      identify(head)
      Object.assign(head, retention)
      altered.add(head)
      limited.add(head)
    },
    bury(given) {
      const head = own(given)
      identify(head)
      head.tombstoned = true
      altered.add(head)
      limited.add(head)
    },
    takeChanges() {
      const changes = { created: [...created], altered: [...altered], limited: [...limited] }
      created = new Set()
      altered = new Set()
      limited = new Set()
      // Whatever stands in these sets went through identify().
      return changes as { [Key in keyof StreamChanges]: KnownStream[] }
    },
    reset() {
      cache.clear()
      created = new Set()
      altered = new Set()
      limited = new Set()
      lastId = Number(selectLastId.get()?.last)
    },
  }
}
