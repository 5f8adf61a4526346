import { Readable } from 'node:stream'
import type { Announcements, ListedEvent, Queries } from '../projections/read-model.ts'
import type { HttpLimits } from './dependencies.ts'
import { type EventFilter, openEventRing } from './event-ring.ts'

export interface EventFeed {
  /**
   * A stream of Server-Sent Events (HTML standard, 9.2) after the index `after`, or from now on. Undefined where as many are
   * open as may be. Throws ReadModelError.
   */
  readonly open: (options: {
    readonly after: number | undefined
    readonly filter: EventFilter
    /** Whether the reader may still read; asked every second. */
    readonly mayRead: () => boolean
    /** Aborts when the reader is gone. */
    readonly signal: AbortSignal
  }) => Promise<Readable | undefined>
  readonly openStreams: () => number
  /** Ends every stream, cleanly; no new one is opened. */
  readonly close: () => void
}

/** A client that lost its stream comes back after this time. */
const reconnectMs = 2_000

interface Reader {
  readonly stream: Readable
  readonly mayRead: () => boolean
  readonly end: AbortController
  /** Since when what we gave it is not taken; undefined while we have nothing to give. */
  blockedSinceMs: number | undefined
  wake: () => void
}

/** The event streams of a process: each has only a cursor of its own, the events come from one shared ring. */
export function openEventFeed(options: {
  readonly queries: Pick<Queries, 'events'>
  readonly announcements: Pick<Announcements, 'current' | 'listen'>
  readonly limits: Pick<HttpLimits, 'eventStreams' | 'eventRing' | 'heartbeatMs' | 'slowReaderMs'>
  readonly clock: () => number
}): EventFeed {
  const { limits, clock } = options
  const readers = new Set<Reader>()
  const ring = openEventRing({
    queries: options.queries,
    announcements: options.announcements,
    capacity: limits.eventRing,
    onGrowth: () => {
      for (const reader of readers) reader.wake()
    },
  })
  let opening = 0
  let closed = false
  let inspection: NodeJS.Timeout | undefined

  async function open({ after, filter, mayRead, signal }: Parameters<EventFeed['open']>[0]) {
    if (closed || readers.size + opening >= limits.eventStreams) return undefined
    opening += 1
    try {
      await ring.start()
    } finally {
      opening -= 1
    }
    const end = new AbortController()
    const stream = Readable.from(frames(after ?? ring.through(), filter, () => reader))
    const reader: Reader = { stream, mayRead, end, blockedSinceMs: undefined, wake: () => {} }
    readers.add(reader)
    inspection ??= setInterval(inspect, Math.min(1_000, limits.slowReaderMs / 4)).unref()
    stream.once('close', () => leave(reader))
    // A destroyed stream closes only after its generator, which may be waiting for events.
    signal.addEventListener('abort', () => leave(reader), { once: true })
    if (closed || signal.aborted) leave(reader)
    return stream
  }

  function leave(reader: Reader): void {
    reader.end.abort()
    reader.wake()
    readers.delete(reader)
    if (readers.size + opening > 0) return
    clearInterval(inspection)
    inspection = undefined
    ring.stop()
  }

  function inspect(): void {
    ring.retry()
    for (const reader of readers) {
      if (reader.blockedSinceMs !== undefined && clock() - reader.blockedSinceMs > limits.slowReaderMs) {
        reader.stream.destroy(new Error('the reader of an event stream takes nothing'))
      } else if (!reader.mayRead()) {
        end(reader)
      }
    }
  }

  /** What a reader gets, in the order of the ledger, as fast as it takes it. Ends when the reader is told to. */
  async function* frames(start: number, filter: EventFilter, self: () => Reader): AsyncGenerator<string> {
    const reader = self()
    let cursor = start
    let frame = `retry: ${reconnectMs}\n\n`
    let quietSinceMs = clock()
    while (!reader.end.signal.aborted) {
      if (frame) {
        reader.blockedSinceMs = clock()
        yield frame
        reader.blockedSinceMs = undefined
        quietSinceMs = clock()
      }
      const grown = cursor < ring.through()
      if (!grown) await woken(reader, quietSinceMs + limits.heartbeatMs - clock())
      // Where the read model is away, the stream stays: it goes on once it is back.
      const stretch = await ring.after(cursor, filter).catch(() => undefined)
      if (!stretch) await woken(reader, 1_000)
      cursor = stretch?.through ?? cursor
      frame = stretch?.events.map(eventFrame).join('') ?? ''
      if (!frame && clock() - quietSinceMs >= limits.heartbeatMs) frame = heartbeat(cursor)
    }
  }

  function close(): void {
    closed = true
    for (const reader of readers) end(reader)
  }

  return { open, openStreams: () => readers.size, close }
}

function end(reader: Reader): void {
  reader.end.abort()
  reader.wake()
}

/** Resolves when the ring has grown, the reader is told to end, or the time is over. */
function woken(reader: Reader, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    if (reader.end.signal.aborted) return resolve()
    const timer = setTimeout(done, Math.max(0, timeoutMs))
    reader.wake = done
    function done(): void {
      clearTimeout(timer)
      reader.wake = () => {}
      resolve()
    }
  })
}

function eventFrame(event: ListedEvent): string {
  return `id: ${event.index}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
}

/** Its id moves the client's Last-Event-ID on past events that its filter left out. */
function heartbeat(cursor: number): string {
  return `: heartbeat\nid: ${cursor}\n\n`
}
