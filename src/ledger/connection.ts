import { setTimeout as pause } from 'node:timers/promises'
import {
  AccessDeniedError,
  BACKWARDS,
  END,
  type EventStoreDBClient,
  isCommandError,
  jsonEvent,
  MaxAppendSizeExceededError,
  NO_STREAM,
  RequiredMetadataPropertyMissingError,
  StreamDeletedError,
  type StreamingRead,
  StreamNotFoundError,
  UnknownError,
  WrongExpectedVersionError,
} from '@eventstore/db-client'
import { type SharedClient, shareClient } from './client-pool.ts'
import { LedgerError } from './errors.ts'
import type { AppendAttempt, EventStore, ProposedEvent } from './event-store.ts'
import { followed, storedEvent } from './subscription-feed.ts'

/** A call after a lost connection fails at once, and makes the client connect anew: so the next one may well succeed. */
const readAttempts = 3
const readPauseMs = 50

/**
 * EventStoreDB, by the official client. Nothing is sent before it is needed. `url` is its connection string, such as
 * `esdb://127.0.0.1:2113?tls=false`; throws where it is none.
 */
export function connectEventStore(url: string): EventStore {
  const shared = shareClient(url)
  return {
    append: (stream, events, expectedRevision, timeoutMs) =>
      attemptAppend(shared, stream, events, expectedRevision, timeoutMs),

    readStream: async (stream, { fromRevision = 0, maxCount }, timeoutMs) => {
      const range = { fromRevision: BigInt(fromRevision), maxCount, requiresLeader: true }
      const found = await collected(timeoutMs, () => shared.current().readStream(stream, range))
      return found.map(storedEvent)
    },

    readLast: async (stream, timeoutMs) => {
      const range = { direction: BACKWARDS, fromRevision: END, maxCount: 1, requiresLeader: true } as const
      const [found] = await collected(timeoutMs, () => shared.current().readStream(stream, range))
      return found && storedEvent(found)
    },

    readAt: async (position, timeoutMs) => {
      const range = { fromPosition: position, maxCount: 1, requiresLeader: true }
      const [found] = await collected(timeoutMs, () => shared.current().readAll(range))
      const event = found && storedEvent(found)
      const isThere =
        event?.position.commit === position.commit && event.position.prepare === position.prepare
      return isThere ? event : undefined
    },

    follow: (options) => followed(shared.current(), options),
    close: shared.release,
  }
}

async function attemptAppend(
  shared: SharedClient,
  stream: string,
  events: readonly ProposedEvent[],
  expectedRevision: number,
  timeoutMs: number,
): Promise<AppendAttempt> {
  const client = shared.current()
  try {
    const { position } = await withinTime(
      timeoutMs,
      client.appendToStream(stream, events.map(eventData), {
        expectedRevision: expectedRevision < 0 ? NO_STREAM : BigInt(expectedRevision),
        requiresLeader: true,
        deadline: timeoutMs,
      }),
    )
    if (position) return { outcome: 'appended', position }
    return { outcome: 'unknown', reason: 'the event store did not say where it appended' }
  } catch (error) {
    return failedAppend(shared, client, error)
  }
}

/** The client takes the bytes of the metadata as they are; of an object it would make base64 first, and bytes of that, slowly. */
function eventData({ id, type, data, metadata }: ProposedEvent) {
  return jsonEvent({ id, type, data, metadata: utf8.encode(JSON.stringify(metadata)) })
}

const utf8 = new TextEncoder()

/**
 * An append that fails before it is sent fails with an error of the channel or of gRPC itself; every answer of the event store, and
 * every loss of a call under way, comes as one of the client's own errors.
 */
function failedAppend(shared: SharedClient, client: EventStoreDBClient, error: unknown): AppendAttempt {
  const reason = reasonOf(error)
  if (error instanceof WrongExpectedVersionError) return { outcome: 'conflict' }
  if (refusals.some((refusal) => error instanceof refusal)) return { outcome: 'refused', reason }
  if (isOtherRefusal(error)) return { outcome: 'refused', reason: reason.slice(unrecognised.length) }
  if (error instanceof NoAnswer || (error instanceof Error && isCommandError(error)))
    return { outcome: 'unknown', reason }
  if (isKeptForLife(error)) shared.replace(client)
  return { outcome: 'unsent', reason }
}

const refusals = [
  AccessDeniedError,
  MaxAppendSizeExceededError,
  RequiredMetadataPropertyMissingError,
  StreamDeletedError,
]

/** What db-client (6.2.1) puts before the store's own words where a refusal of one append has no class of its own. */
const unrecognised = 'Could not recognize '

/**
 * The store's answer to this very append, that it was not made: its disk is full, say, or it is not ready. A lost connection or a
 * broken call has a status of gRPC; this has none, as the stream of appends goes on.
 */
function isOtherRefusal(error: unknown): boolean {
  return error instanceof UnknownError && error.code === undefined && error.message.startsWith(unrecognised)
}

const grpcCancelled = 1
const grpcUnavailable = 14

/** Asking the server for its features failed, other than by a lost connection: the client would never ask again. */
function isKeptForLife(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    error.code !== grpcUnavailable &&
    error.code !== grpcCancelled
  )
}

class NoAnswer extends Error {}

/** The client waits for ever where the server is silent. A late answer is dropped. */
async function withinTime<T>(timeoutMs: number, answer: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new NoAnswer(`no answer within ${Math.round(timeoutMs)} ms`)),
    timeoutMs,
  )
  try {
    return await Promise.race([answer, promise])
  } finally {
    clearTimeout(timer)
  }
}

async function collected<E>(timeoutMs: number, open: () => StreamingRead<E>): Promise<readonly E[]> {
  const until = performance.now() + timeoutMs
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await collectedOnce(until - performance.now(), open())
    } catch (error) {
      if (error instanceof StreamNotFoundError) return []
      const reason = reasonOf(error)
      const isOver = attempts === readAttempts || performance.now() + readPauseMs > until
      if (isOver) throw new LedgerError({ code: 'event-store-unavailable', reason }, { cause: error })
      await pause(readPauseMs)
    }
  }
}

async function collectedOnce<E>(timeoutMs: number, read: StreamingRead<E>): Promise<readonly E[]> {
  // The client can report an error more than once; a second one that nobody listens for would end the process.
  read.on('error', () => {})
  const timer = setTimeout(
    () => read.destroy(new NoAnswer(`no answer within ${Math.round(timeoutMs)} ms`)),
    timeoutMs,
  )
  try {
    const found: E[] = []
    for await (const event of read) found.push(event)
    return found
  } finally {
    clearTimeout(timer)
    if (!read.readableEnded) read.cancel().catch(() => {})
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error)
}
