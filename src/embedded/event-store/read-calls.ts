import type { ReadReq } from '@eventstore/db-client/generated/streams_pb.js'
import { type ServerWritableStream, status } from '@grpc/grpc-js'
import type { EventLog } from './event-log.ts'
import {
  type EventReader,
  firstReadable,
  isSoftDeleted,
  isTombstoned,
  type StoredStream,
} from './event-reader.ts'
import { END_OF_STREAM, type RecordedEvent } from './events.ts'
import { createSender, type Send } from './message-runs.ts'
import {
  encodeFirstStreamPosition,
  encodeLastStreamPosition,
  encodeReadEvent,
  encodeStreamNotFound,
  type ResolvedEvent,
} from './read-messages.ts'
import { parseReadRequest, type ReadRequest, UnreadableRequest } from './read-request.ts'
import { failure, streamDeleted } from './refusals.ts'
import { followAll, followStream } from './subscriptions.ts'

/** Raised when a reader's stream was, or is being, deleted for good. */
export class StreamTombstoned extends Error {
  override readonly name = 'StreamTombstoned'
}

/** Streams/Read: a read that ends, or a subscription that lasts until either side leaves. */
export async function answerRead(
  log: EventLog,
  call: ServerWritableStream<ReadReq, Buffer>,
  stopping: AbortSignal,
): Promise<void> {
  const over = new AbortController()
  const end = () => over.abort()
  call.on('cancelled', end)
  stopping.addEventListener('abort', end)
  const { send, flush } = createSender(call, over.signal)
  let streamName = ''
  try {
    const request = parseReadRequest(call.request)
    streamName = request.streamName ?? '$all'
    if (request.maxCount !== undefined) await read(log.reader, request, request.maxCount, send)
    else if (request.streamName === undefined) await followAll(log, request, send, over.signal)
    else await followStream(log, request, request.streamName, send, over.signal)
    flush()
    if (stopping.aborted) call.emit('error', nodeIsStopping)
    else call.end()
  } catch (error) {
    if (call.cancelled) return
    flush()
    call.emit('error', stopping.aborted ? nodeIsStopping : toReadFailure(error, streamName))
  } finally {
    stopping.removeEventListener('abort', end)
  }
}

const nodeIsStopping = failure(status.UNAVAILABLE, 'the node is stopping')

function toReadFailure(error: unknown, streamName: string) {
  if (error instanceof StreamTombstoned) return streamDeleted(streamName)
  if (error instanceof UnreadableRequest) return failure(status.INVALID_ARGUMENT, error.message)
  return failure(status.INTERNAL, error instanceof Error ? error.message : String(error))
}

async function read(reader: EventReader, request: ReadRequest, maxCount: number, send: Send): Promise<void> {
  if (maxCount === 0) throw new UnreadableRequest('a read of no events')
  const { streamName } = request
  if (streamName !== undefined) return readStream(reader, request, streamName, maxCount, send)
  const pageLimit = request.filter === undefined ? maxCount : undefined
  await sendEvents(reader, request, maxCount, pagesOfAll(reader, request, pageLimit), send)
}

async function readStream(
  reader: EventReader,
  request: ReadRequest,
  name: string,
  maxCount: number,
  send: Send,
): Promise<void> {
  const stream = reader.stream(name)
  if (isTombstoned(reader, name, stream)) throw new StreamTombstoned()
  if (stream === undefined || stream.lastRevision < 0 || isSoftDeleted(stream)) {
    return send(encodeStreamNotFound(name))
  }
  const from = toNumber(request.from, 0, request.backwards ? stream.lastRevision : stream.lastRevision + 1)
  if (request.wantsPositions && !request.backwards) {
    const first = firstPositionToTell(stream, from, maxCount)
    if (first !== undefined) await send(encodeFirstStreamPosition(first))
  }
  await sendEvents(reader, request, maxCount, pagesOfStream(reader, stream, from, request, maxCount), send)
  if (request.wantsPositions) await send(encodeLastStreamPosition(stream.lastRevision))
}

/** The server's page, which decides whether a reader is told that it began before the first event. */
const SERVER_PAGE_EVENTS = 32

/** Told, as in `Enumerator.ReadStreamForwards`, to a reader whose first page is empty. */
function firstPositionToTell(stream: StoredStream, from: number, maxCount: number): number | undefined {
  const first = firstReadable(stream)
  if (from + Math.min(maxCount, SERVER_PAGE_EVENTS) <= first) return first
  return from > stream.lastRevision + 1 ? stream.lastRevision + 1 : undefined
}

async function sendEvents(
  reader: EventReader,
  request: ReadRequest,
  maxCount: number,
  pages: Iterable<readonly RecordedEvent[]>,
  send: Send,
): Promise<void> {
  let remaining = maxCount
  for (const events of pages) {
    for (const event of events) {
      if (request.filter?.matches(event) === false) continue
      const waiting = send(encodeReadEvent(resolve(reader, event, request), request.uuidForm))
      if (waiting !== undefined) await waiting
      remaining -= 1
      if (remaining === 0) return
    }
  }
}

function* pagesOfAll(reader: EventReader, request: ReadRequest, limit: number | undefined) {
  let cursor = request.backwards
    ? toNumber(request.from, 0, END_OF_STREAM)
    : toNumber(request.from, 0, END_OF_STREAM) - 1
  for (;;) {
    const events = request.backwards ? reader.allBackwards(cursor, limit) : reader.allForwards(cursor, limit)
    const last = events.at(-1)
    if (last === undefined) return
    yield events
    cursor = last.position
  }
}

function* pagesOfStream(
  reader: EventReader,
  stream: StoredStream,
  from: number,
  request: ReadRequest,
  limit: number,
) {
  const first = firstReadable(stream)
  const last = stream.lastRevision
  let cursor = from
  for (;;) {
    const events = request.backwards
      ? reader.streamBackwards(stream.id, Math.min(cursor, last), first, limit)
      : reader.streamForwards(stream.id, Math.max(cursor, first), last, limit)
    const end = events.at(-1)
    if (end === undefined) return
    yield events.filter(isYoungEnough(stream))
    cursor = request.backwards ? end.revision - 1 : end.revision + 1
  }
}

function toNumber(from: ReadRequest['from'], start: number, end: number): number {
  if (from === 'start') return start
  return from === 'end' ? end : from
}

/** Whether an event can still be read by its age. */
export function isYoungEnough({ maxAgeSeconds }: StoredStream): (event: RecordedEvent) => boolean {
  if (maxAgeSeconds === null) return () => true
  const oldestMs = Date.now() - maxAgeSeconds * 1000
  return (event) => event.createdMs >= oldestMs
}

/** Follows a link (type `$>`, data `revision@stream`) to its event, where the reader wants that. */
export function resolve(
  reader: EventReader,
  event: RecordedEvent,
  request: Pick<ReadRequest, 'resolveLinks'>,
): ResolvedEvent {
  if (!request.resolveLinks || event.type !== '$>') return { event, link: undefined }
  const [, digits, name] = /^(\d+)@(.+)$/s.exec(Buffer.from(event.data).toString()) ?? []
  const stream = name === undefined ? undefined : reader.stream(name)
  const revision = Number(digits)
  if (stream === undefined || stream.tombstoned || revision < firstReadable(stream)) {
    return { event: undefined, link: event }
  }
  const [target] = reader.streamForwards(stream.id, revision, revision).filter(isYoungEnough(stream))
  return { event: target, link: event }
}
