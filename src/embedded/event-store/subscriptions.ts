import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EventLog } from './event-log.ts'
import { type EventReader, firstReadable, isSoftDeleted, isTombstoned } from './event-reader.ts'
import { END_OF_STREAM, type EventHead, type RecordedEvent } from './events.ts'
import type { Send } from './message-runs.ts'
import { isYoungEnough, resolve, StreamTombstoned } from './read-calls.ts'
import {
  caughtUp,
  encodeCheckpoint,
  encodeConfirmation,
  encodeReadEvent,
  fellBehind,
  type UuidForm,
} from './read-messages.ts'
import type { EventFilter, ReadRequest } from './read-request.ts'

/*
 * A subscription pulls: it holds a cursor and asks for what comes after it, from memory while it keeps up and from
 * storage otherwise. Nothing is queued for it, so a reader that stops reading costs nobody memory.
 */

/** How many events one subscriber takes from memory before others have their turn. */
const PAGE_EVENTS = 512
/** Where a filter lets fewer through of what is stored, events are looked at before they are read. */
const SPARSE_SHARE = 1 / 8

/** Follows $all until the signal aborts, from after the starting position. */
export async function followAll(
  log: EventLog,
  request: ReadRequest,
  send: Send,
  over: AbortSignal,
): Promise<void> {
  const { reader, tail } = log
  let cursor = startAfter(request.from, tail.lastPosition)
  const checkpoints = countCheckpoints(request.filter, send)
  const liveness = announceLiveness(send)
  let isSparse = false
  await send(encodeConfirmation(randomUUID()))
  while (!over.aborted) {
    const recent = tail.after(cursor, PAGE_EVENTS)
    const events: readonly EventHead[] =
      recent ?? (isSparse ? reader.headsForwards(cursor) : reader.allForwards(cursor))
    if (events.length === 0 && liveness.isLive()) {
      await tail.next(undefined, over)
      continue
    }
    if (events.length === 0) {
      await checkpoints?.tell(cursor)
      await liveness.reachedEnd()
      continue
    }
    if (liveness.isLive() && recent === undefined && tail.lastPosition - cursor >= PAGE_EVENTS) {
      await liveness.lost()
      await checkpoints?.tell(cursor)
    }
    let matching = 0
    for (const head of events) {
      cursor = head.position
      const event = request.filter?.matches(head) === false ? undefined : wholeOf(head, reader)
      if (event !== undefined) {
        matching += 1
        const message =
          recent === undefined || request.resolveLinks
            ? encodeReadEvent(resolve(reader, event, request), request.uuidForm)
            : encodeOnce(event, request.uuidForm)
        const waiting = send(message)
        if (waiting !== undefined) await waiting
      }
      const waiting = checkpoints?.considered(cursor)
      if (waiting !== undefined) await waiting
    }
    isSparse = matching < events.length * SPARSE_SHARE
    // A filter that lets nothing through waits for nobody: others must have their turn all the same.
    if (recent === undefined && matching === 0) await nextTurn()
  }
}

/** Undefined where it was removed since it was looked at. */
function wholeOf(head: EventHead, reader: EventReader): RecordedEvent | undefined {
  if (isWhole(head)) return head
  const [found] = reader.allForwards(head.position - 1, 1)
  return found?.position === head.position ? found : undefined
}

function isWhole(head: EventHead): head is RecordedEvent {
  return 'data' in head
}

/** Follows one stream, which need not exist yet, until the signal aborts, from after the starting revision. */
export async function followStream(
  log: EventLog,
  request: ReadRequest,
  streamName: string,
  send: Send,
  over: AbortSignal,
): Promise<void> {
  const { reader, tail } = log
  const found = reader.stream(streamName)
  if (isTombstoned(reader, streamName, found)) throw new StreamTombstoned()
  let cursor = startAfter(request.from, found?.lastRevision ?? -1, -1)
  const liveness = announceLiveness(send)
  await send(encodeConfirmation(randomUUID()))
  while (!over.aborted) {
    const stream = reader.stream(streamName)
    if (stream?.tombstoned) {
      const [tombstone] = reader.streamForwards(stream.id, END_OF_STREAM, END_OF_STREAM)
      if (liveness.isLive() && tombstone !== undefined) {
        await send(encodeReadEvent({ event: tombstone, link: undefined }, request.uuidForm))
      }
      throw new StreamTombstoned()
    }
    const events =
      stream === undefined || isSoftDeleted(stream)
        ? []
        : reader.streamForwards(stream.id, Math.max(cursor + 1, firstReadable(stream)), stream.lastRevision)
    if (stream === undefined || events.length === 0) {
      if (liveness.isLive()) await tail.next(streamName, over)
      else await liveness.reachedEnd()
      continue
    }
    if (liveness.isLive() && stream.lastRevision - cursor >= PAGE_EVENTS) await liveness.lost()
    const isYoung = isYoungEnough(stream)
    for (const event of events) {
      cursor = event.revision
      if (!isYoung(event)) continue
      const waiting = send(encodeReadEvent(resolve(reader, event, request), request.uuidForm))
      if (waiting !== undefined) await waiting
    }
  }
}

function startAfter(from: ReadRequest['from'], last: number, start = 0): number {
  if (from === 'start') return start
  return from === 'end' || from === END_OF_STREAM ? last : from
}

/**
 * Tells the subscriber when it reaches the end of what there is, and when it no longer keeps up with it. Nothing may be
 * awaited between finding nothing more and waiting for more: what came in between would ring no bell.
 */
function announceLiveness(send: Send) {
  let isLive = false
  return {
    isLive: () => isLive,
    reachedEnd(): Promise<void> | undefined {
      isLive = true
      return send(caughtUp)
    },
    lost(): Promise<void> | undefined {
      isLive = false
      return send(fellBehind)
    },
  }
}

/** Says how far a filtered subscription has come: at every interval, and where it catches up or falls behind. */
function countCheckpoints(filter: EventFilter | undefined, send: Send) {
  if (filter === undefined) return undefined
  let considered = 0

  /** Says nothing twice. */
  function tell(position: number): Promise<void> | undefined {
    if (considered === 0) return undefined
    considered = 0
    return send(encodeCheckpoint(position))
  }

  return {
    tell,
    considered(position: number): Promise<void> | undefined {
      considered += 1
      return considered === filter.checkpointInterval ? tell(position) : undefined
    },
  }
}

const encoded = new WeakMap<RecordedEvent, Buffer>()

/** Encodes an event of the live tail once for all who follow it. */
function encodeOnce(event: RecordedEvent, uuidForm: UuidForm): Buffer {
  if (uuidForm !== 'string') return encodeReadEvent({ event, link: undefined }, uuidForm)
  const known = encoded.get(event)
  if (known !== undefined) return known
  const message = encodeReadEvent({ event, link: undefined }, uuidForm)
  encoded.set(event, message)
  return message
}
