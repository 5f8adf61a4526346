import { randomUUID } from 'node:crypto'
import type { EventLog } from './event-log.ts'
import { firstReadable, isSoftDeleted } from './event-reader.ts'
import { END_OF_STREAM, type RecordedEvent } from './events.ts'
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

/** Follows $all until the signal aborts, from after the starting position. */
export async function followAll(
  log: EventLog,
  request: ReadRequest,
  send: Send,
  over: AbortSignal,
): Promise<void> {
  const { reader, tail } = log
  let cursor = startAfter(request.from, tail.lastPosition)
  const checkpoints = request.filter === undefined ? undefined : countCheckpoints(request.filter, send)
  const liveness = announceLiveness(send)
  await send(encodeConfirmation(randomUUID()))
  while (!over.aborted) {
    const recent = tail.after(cursor, PAGE_EVENTS)
    const events = recent ?? reader.allForwards(cursor)
    if (events.length === 0) {
      if (!(await liveness.reachedEnd())) await tail.next(undefined, over)
      continue
    }
    if (recent === undefined && tail.lastPosition - cursor >= PAGE_EVENTS) await liveness.lost()
    for (const event of events) {
      cursor = event.position
      if (request.filter?.matches(event) !== false) {
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
  }
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
  let cursor = startAfter(request.from, reader.stream(streamName)?.lastRevision ?? -1, -1)
  const liveness = announceLiveness(send)
  await send(encodeConfirmation(randomUUID()))
  while (!over.aborted) {
    const stream = reader.stream(streamName)
    if (stream?.tombstoned) throw new StreamTombstoned()
    const events =
      stream === undefined || isSoftDeleted(stream)
        ? []
        : reader.streamForwards(stream.id, Math.max(cursor + 1, firstReadable(stream)), stream.lastRevision)
    if (stream === undefined || events.length === 0) {
      if (!(await liveness.reachedEnd())) await tail.next(streamName, over)
      continue
    }
    if (stream.lastRevision - cursor >= PAGE_EVENTS) await liveness.lost()
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

/** Tells the subscriber when it reaches the end of what there is, and when it no longer keeps up with it. */
function announceLiveness(send: Send) {
  let isLive = false
  return {
    /** Whether this was news, in which case there may be more to read by now. */
    async reachedEnd(): Promise<boolean> {
      if (isLive) return false
      isLive = true
      await send(caughtUp)
      return true
    },
    async lost(): Promise<void> {
      if (!isLive) return
      isLive = false
      await send(fellBehind)
    },
  }
}

function countCheckpoints({ checkpointInterval }: EventFilter, send: Send) {
  let considered = 0
  return {
    considered(position: number): Promise<void> | undefined {
      considered += 1
      return considered % checkpointInterval === 0 ? send(encodeCheckpoint(position)) : undefined
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
