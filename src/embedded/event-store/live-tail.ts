import type { RecordedEvent } from './events.ts'

/**
 * The newest committed events, kept so that any number of live subscribers read them from memory, and the bell that
 * wakes those who wait for more. Bounded in events and bytes; who has fallen behind it reads from storage.
 */
export interface LiveTail {
  /** The position of the newest committed event. */
  readonly lastPosition: number
  /** The events after `position`, at most `limit`; undefined when they reach back further than the tail does. */
  after(position: number, limit: number): readonly RecordedEvent[] | undefined
  publish(events: readonly RecordedEvent[]): void
  /** Forgets the events, so that what storage has erased does not live on here. */
  forget(): void
  /** Resolves at the next event of the stream, or of any stream when undefined; also when the signal aborts. */
  next(streamName: string | undefined, signal: AbortSignal): Promise<void>
}

const MAX_EVENTS = 4096
const MAX_BYTES = 8 * 1024 * 1024

export function createLiveTail(initialPosition: number): LiveTail {
  let events: RecordedEvent[] = []
  let bytes = 0
  let lastPosition = initialPosition
  /** Everything after this position is in `events`. */
  let coveredFrom = initialPosition
  const bells = new Map<string | undefined, Set<() => void>>()

  function publish(committed: readonly RecordedEvent[]): void {
    const newest = committed.at(-1)
    if (newest === undefined) return
    for (const event of committed) {
      events.push(event)
      bytes += sizeOf(event)
    }
    lastPosition = newest.position
    if (events.length > 2 * MAX_EVENTS || bytes > 2 * MAX_BYTES) trim()
    ring(undefined)
    if (bells.size > 0) for (const name of new Set(committed.map((event) => event.streamName))) ring(name)
  }

  /** Trims to half of what triggers it, so that its cost is spread over as many events as it removes. */
  function trim(): void {
    let from = events.length
    bytes = 0
    for (let kept = events[from - 1]; kept !== undefined; kept = events[from - 1]) {
      if (events.length - from >= MAX_EVENTS || bytes + sizeOf(kept) > MAX_BYTES) break
      bytes += sizeOf(kept)
      from -= 1
    }
    coveredFrom = events[from - 1]?.position ?? coveredFrom
    events = events.slice(from)
  }

  function ring(name: string | undefined): void {
    const waiting = bells.get(name)
    if (waiting === undefined) return
    bells.delete(name)
    for (const wake of waiting) wake()
  }

  function next(name: string | undefined, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve()
    const waiting = bells.get(name) ?? new Set()
    bells.set(name, waiting)
    return new Promise((resolve) => {
      const wake = () => {
        waiting.delete(wake)
        if (waiting.size === 0 && bells.get(name) === waiting) bells.delete(name)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      waiting.add(wake)
      signal.addEventListener('abort', wake)
    })
  }

  return {
    get lastPosition() {
      return lastPosition
    },
    after(position, limit) {
      if (position < coveredFrom) return undefined
      const from = firstAfter(events, position)
      return events.slice(from, from + limit)
    },
    publish,
    forget() {
      events = []
      bytes = 0
      coveredFrom = lastPosition
    },
    next,
  }
}

function sizeOf(event: RecordedEvent): number {
  return event.data.length + event.metadata.length
}

function firstAfter(events: readonly RecordedEvent[], position: number): number {
  let low = 0
  let high = events.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const candidate = events[middle]
    if (candidate !== undefined && candidate.position <= position) low = middle + 1
    else high = middle
  }
  return low
}
