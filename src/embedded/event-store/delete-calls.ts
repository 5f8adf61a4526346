import type { DeleteReq, TombstoneReq } from '@eventstore/db-client/generated/streams_pb.js'
import streamsMessages from '@eventstore/db-client/generated/streams_pb.js'
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js'
import { MalformedRequest } from './append-messages.ts'
import type { EventLog } from './event-log.ts'
import type { ExpectedRevision } from './expected-revision.ts'
import { toStatus } from './refusals.ts'
import { faultOfDeletion } from './stream-names.ts'

/** Streams/Delete: the events go, the stream may come back. */
export async function answerDelete(
  log: EventLog,
  call: ServerUnaryCall<DeleteReq, InstanceType<typeof streamsMessages.DeleteResp>>,
  respond: sendUnaryData<InstanceType<typeof streamsMessages.DeleteResp>>,
): Promise<void> {
  const { streamName, expected, fault } = parseOptions(call.request.getOptions())
  if (fault !== undefined) return respond(toStatus({ kind: 'malformed', request: fault }, streamName))
  const outcome = await log.deleteStream(streamName, expected)
  if (outcome.kind !== 'written') return respond(toStatus(outcome, streamName))
  const { DeleteResp } = streamsMessages
  const position = new DeleteResp.Position()
  position.setCommitPosition(String(outcome.position)).setPreparePosition(String(outcome.position))
  respond(null, new DeleteResp().setPosition(position))
}

/** Streams/Tombstone: the stream goes for good. */
export async function answerTombstone(
  log: EventLog,
  call: ServerUnaryCall<TombstoneReq, InstanceType<typeof streamsMessages.TombstoneResp>>,
  respond: sendUnaryData<InstanceType<typeof streamsMessages.TombstoneResp>>,
): Promise<void> {
  const { streamName, expected, fault } = parseOptions(call.request.getOptions())
  if (fault !== undefined) return respond(toStatus({ kind: 'malformed', request: fault }, streamName))
  const outcome = await log.tombstone(streamName, expected)
  if (outcome.kind !== 'written') return respond(toStatus(outcome, streamName))
  const { TombstoneResp } = streamsMessages
  const position = new TombstoneResp.Position()
  position.setCommitPosition(String(outcome.position)).setPreparePosition(String(outcome.position))
  respond(null, new TombstoneResp().setPosition(position))
}

type Deletion =
  | { readonly streamName: string; readonly expected: ExpectedRevision; readonly fault?: undefined }
  | { readonly streamName: string; readonly expected?: undefined; readonly fault: MalformedRequest }

function parseOptions(options: DeleteReq.Options | TombstoneReq.Options | undefined): Deletion {
  const name = options?.getStreamIdentifier()?.getStreamName_asU8() ?? new Uint8Array(0)
  const streamName = Buffer.from(name).toString()
  const expected = parseExpected(options)
  const fault = faultOfDeletion(streamName)
  if (fault !== undefined) return { streamName, fault }
  return expected === undefined ? { streamName, fault: noExpectedRevision } : { streamName, expected }
}

const noExpectedRevision = new MalformedRequest('the request does not say what it expects of the stream')

function parseExpected(
  options: DeleteReq.Options | TombstoneReq.Options | undefined,
): ExpectedRevision | undefined {
  if (options?.hasNoStream()) return 'no_stream'
  if (options?.hasStreamExists()) return 'stream_exists'
  if (options?.hasAny()) return 'any'
  return options?.hasRevision() ? Number(options.getRevision()) : undefined
}
