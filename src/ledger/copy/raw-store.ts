import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type EventStoreDBClient, isCommandError } from '@eventstore/db-client'
import sharedMessages from '@eventstore/db-client/generated/shared_pb.js'
import streamsServices from '@eventstore/db-client/generated/streams_grpc_pb.js'
import streamsMessages, {
  type BatchAppendResp,
  type ReadResp,
} from '@eventstore/db-client/generated/streams_pb.js'
import type { ClientDuplexStream } from '@grpc/grpc-js'
import emptyMessages from 'google-protobuf/google/protobuf/empty_pb.js'
import timestampMessages from 'google-protobuf/google/protobuf/timestamp_pb.js'
import { shareClient } from '../client-pool.ts'
import { LedgerError } from '../errors.ts'
import type { LedgerPosition } from '../event.ts'
import { isBeyond } from '../subscription.ts'

/** An event as the store has it, byte for byte. */
export interface RawEvent extends RawProposal {
  readonly stream: string
  readonly revision: number
  readonly position: LedgerPosition
}

export interface RawProposal {
  readonly id: string
  readonly type: string
  readonly contentType: string
  readonly data: Uint8Array
  readonly metadata: Uint8Array
}

/** An event store below the parsing of its client: Merkle leaves are made of bytes, and JSON has several for one meaning. */
export interface RawStore {
  /**
   * Of $all, events whose stream's name begins with one of the prefixes, at most `maxCount`, from after `after`; fewer only at the end.
   * Throws `event-store-unavailable`.
   */
  readonly readAll: (range: {
    readonly after: LedgerPosition | undefined
    readonly prefixes: readonly string[]
    readonly maxCount: number
  }) => Promise<readonly RawEvent[]>
  /** Of everything but system streams, the first event. Throws `event-store-unavailable`. */
  readonly firstOfAny: () => Promise<RawEvent | undefined>
  /** The events of a stream that are alive, oldest first; none where there is no such stream. Throws `event-store-unavailable`. */
  readonly readStream: (stream: string) => Promise<readonly RawEvent[]>
  /**
   * Appends at exactly the revision (−1: no stream), and finds out whether it did: the same ids go to the same revision again
   * until the store has answered. Throws `event-store-unavailable`, or `outcome-unknown`; then it is to be done again.
   */
  readonly append: (
    stream: string,
    events: readonly RawProposal[],
    expectedRevision: number,
  ) => Promise<'appended' | 'conflict'>
  readonly close: () => Promise<void>
}

const attempts = 5
const firstPauseMs = 100
/** A server that says nothing for so long is taken for gone. */
const silenceMs = 30_000
const mostOfStream = 10_000
/** Of EventStoreDB's: events considered between two looks whether the reader is still there. */
const checkpointInterval = 1_000
const systemFree = '^[^$]'

/** Nothing is sent before it is needed. Throws where `url` is no connection string. */
export function openRawStore(url: string): RawStore {
  const shared = shareClient(url)
  const place = placeOf(url)
  let appending: Appending | undefined
  return {
    readAll: ({ after, prefixes, maxCount }) =>
      patiently(place, async () => {
        // Forwards a read begins with the event at the position itself.
        const events = await collected(
          shared.current(),
          allRequest({ after, maxCount: maxCount + (after ? 1 : 0), filter: { prefixes } }),
        )
        return events.filter(({ position }) => !after || isBeyond(position, after)).slice(0, maxCount)
      }),
    firstOfAny: () =>
      patiently(place, async () => {
        const request = allRequest({ after: undefined, maxCount: 1, filter: { regex: systemFree } })
        return (await collected(shared.current(), request)).at(0)
      }),
    readStream: (stream) => patiently(place, () => collected(shared.current(), streamRequest(stream))),
    append: async (stream, events, expectedRevision) => {
      let maybeAppended = false
      for (let attempt = 1; ; attempt += 1) {
        try {
          appending ??= await openAppending(shared.current())
          return await appending.append(stream, events, expectedRevision)
        } catch (error) {
          if (error instanceof Refused) throw unavailable(place, error)
          appending?.close()
          maybeAppended ||= appending !== undefined
          appending = undefined
          if (attempt === attempts) {
            if (maybeAppended) throw new LedgerError({ code: 'outcome-unknown' }, { cause: error })
            throw unavailable(place, error)
          }
          await pause(firstPauseMs * 2 ** attempt)
        }
      }
    },
    close: async () => {
      appending?.close()
      await shared.release()
    },
  }
}

/** As it stands in the store, for a person: without the user and the password that a connection string may carry. */
export function placeOf(url: string): string {
  const [, scheme = '', hosts = ''] = /^([a-z+]+:\/\/)(?:[^@/]*@)?([^/?]+)/.exec(url) ?? []
  return `${scheme}${hosts}`
}

function unavailable(place: string, error: unknown): LedgerError {
  const reason = `${place}: ${reasonOf(error)}`
  return new LedgerError({ code: 'event-store-unavailable', reason }, { cause: error })
}

async function patiently<T>(place: string, act: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await act()
    } catch (error) {
      if (attempt === attempts) {
        throw unavailable(place, error)
      }
      await pause(firstPauseMs * 2 ** attempt)
    }
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && isCommandError(error)) return error.message || error.name
  return error instanceof Error ? error.message : String(error)
}

const { ReadReq, BatchAppendReq } = streamsMessages
const { ReadDirection } = ReadReq.Options

function allRequest({
  after,
  maxCount,
  filter,
}: {
  readonly after: LedgerPosition | undefined
  readonly maxCount: number
  readonly filter: { readonly prefixes: readonly string[] } | { readonly regex: string }
}) {
  const all = new ReadReq.Options.AllOptions()
  if (after) {
    const position = new ReadReq.Options.Position()
    position.setCommitPosition(String(after.commit)).setPreparePosition(String(after.prepare))
    all.setPosition(position)
  } else {
    all.setStart(new sharedMessages.Empty())
  }
  const expression = new ReadReq.Options.FilterOptions.Expression()
  if ('regex' in filter) expression.setRegex(filter.regex)
  else expression.setPrefixList([...filter.prefixes])
  const filtering = new ReadReq.Options.FilterOptions()
  filtering.setStreamIdentifier(expression)
  filtering.setCount(new sharedMessages.Empty())
  filtering.setCheckpointintervalmultiplier(checkpointInterval)
  return readRequest(maxCount, (options) => {
    options.setAll(all)
    options.setFilter(filtering)
  })
}

function streamRequest(stream: string) {
  const from = new ReadReq.Options.StreamOptions()
  from.setStreamIdentifier(identifierOf(stream))
  from.setStart(new sharedMessages.Empty())
  return readRequest(mostOfStream, (options) => {
    options.setStream(from)
    options.setNoFilter(new sharedMessages.Empty())
  })
}

function readRequest(maxCount: number, complete: (options: InstanceType<typeof ReadReq.Options>) => void) {
  const uuid = new ReadReq.Options.UUIDOption()
  uuid.setString(new sharedMessages.Empty())
  const options = new ReadReq.Options()
  options.setReadDirection(ReadDirection.FORWARDS)
  options.setCount(String(maxCount))
  options.setUuidOption(uuid)
  complete(options)
  return new ReadReq().setOptions(options)
}

function identifierOf(stream: string) {
  const identifier = new sharedMessages.StreamIdentifier()
  identifier.setStreamName(Buffer.from(stream).toString('base64'))
  return identifier
}

const leader = { requiresLeader: true }
const noDeadline = { deadline: Number.POSITIVE_INFINITY }

/** Over the client's own channel: it has found the leader, and knows the credentials. */
async function collected(
  client: EventStoreDBClient,
  request: InstanceType<typeof ReadReq>,
): Promise<readonly RawEvent[]> {
  // biome-ignore-start lint/complexity/useLiteralKeys: protected in its types, and the only way to the bytes
  const reading = await client['GRPCStreamCreator'](streamsServices.StreamsClient, 'read', (grpc) =>
    grpc.read(request, ...client['callArguments'](leader, noDeadline)),
  )()
  // biome-ignore-end lint/complexity/useLiteralKeys: protected in its types, and the only way to the bytes
  reading.on('error', () => {})
  const silence = setTimeout(() => reading.destroy(new Error('the event store is silent')), silenceMs)
  try {
    const events: RawEvent[] = []
    for await (const response of reading as AsyncIterable<ReadResp>) {
      silence.refresh()
      const recorded = response.getEvent()?.getEvent()
      if (recorded) events.push(rawEvent(recorded))
    }
    return events
  } finally {
    clearTimeout(silence)
    reading.cancel()
  }
}

function rawEvent(recorded: ReadResp.ReadEvent.RecordedEvent): RawEvent {
  const about = recorded.getMetadataMap()
  return {
    id: recorded.getId()?.getString() ?? '',
    stream: Buffer.from(recorded.getStreamIdentifier()?.getStreamName_asU8() ?? []).toString(),
    revision: Number(recorded.getStreamRevision()),
    position: {
      commit: BigInt(recorded.getCommitPosition()),
      prepare: BigInt(recorded.getPreparePosition()),
    },
    type: about.get('type') ?? '',
    contentType: about.get('content-type') ?? 'application/octet-stream',
    data: recorded.getData_asU8(),
    metadata: recorded.getCustomMetadata_asU8(),
  }
}

/** The store's answer that it will not take an append. */
class Refused extends Error {}

interface Appending {
  /** One at a time. Throws Refused, or what broke the call. */
  readonly append: (
    stream: string,
    events: readonly RawProposal[],
    expectedRevision: number,
  ) => Promise<'appended' | 'conflict'>
  readonly close: () => void
}

/** A call of BatchAppend of our own, beside the client's: that one makes JSON anew of what it is given. */
async function openAppending(client: EventStoreDBClient): Promise<Appending> {
  // biome-ignore-start lint/complexity/useLiteralKeys: as above
  const call: ClientDuplexStream<InstanceType<typeof BatchAppendReq>, BatchAppendResp> = await client[
    'GRPCStreamCreator'
  ](streamsServices.StreamsClient, 'batchAppend', (grpc) =>
    grpc.batchAppend(...client['callArguments'](leader, noDeadline)),
  )()
  // biome-ignore-end lint/complexity/useLiteralKeys: as above
  let answered: PromiseWithResolvers<BatchAppendResp> | undefined
  let broken: Error | undefined
  const breakOff = (error: Error) => {
    broken ??= error
    answered?.reject(error)
  }
  call.on('data', (response: BatchAppendResp) => answered?.resolve(response))
  call.on('error', breakOff)
  call.on('end', () => breakOff(new Error('the event store ended the call')))
  return {
    append: async (stream, events, expectedRevision) => {
      if (broken) throw broken
      answered = Promise.withResolvers<BatchAppendResp>()
      const silence = setTimeout(() => breakOff(new Error('the event store is silent')), silenceMs)
      try {
        call.write(appendRequest(stream, events, expectedRevision))
        const response = await answered.promise
        const error = response.getError()
        if (!error) return 'appended'
        const kind = error.getDetails()?.getTypeName() ?? ''
        if (kind.endsWith('.WrongExpectedVersion')) return 'conflict'
        if (kind.endsWith('.Timeout')) throw new Error('the event store ran out of time')
        throw new Refused(`${stream}: ${error.getMessage() || kind}`)
      } finally {
        clearTimeout(silence)
      }
    },
    close: () => {
      call.end()
      call.cancel()
    },
  }
}

function appendRequest(stream: string, events: readonly RawProposal[], expectedRevision: number) {
  const options = new BatchAppendReq.Options()
  options.setStreamIdentifier(identifierOf(stream))
  if (expectedRevision < 0) options.setNoStream(new emptyMessages.Empty())
  else options.setStreamPosition(String(expectedRevision))
  options.setDeadline(timestampMessages.Timestamp.fromDate(new Date(Date.now() + silenceMs)))
  const request = new BatchAppendReq()
  request.setOptions(options)
  request.setCorrelationId(uuidOf(randomUUID()))
  request.setProposedMessagesList(events.map(proposedMessage))
  request.setIsFinal(true)
  return request
}

function proposedMessage({ id, type, contentType, data, metadata }: RawProposal) {
  const message = new BatchAppendReq.ProposedMessage()
  message.setId(uuidOf(id))
  message.getMetadataMap().set('type', type).set('content-type', contentType)
  message.setData(data)
  message.setCustomMetadata(metadata)
  return message
}

function uuidOf(id: string) {
  const uuid = new sharedMessages.UUID()
  uuid.setString(id)
  return uuid
}
