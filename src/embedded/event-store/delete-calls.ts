import type { DeleteReq, TombstoneReq } from '@eventstore/db-client/generated/streams_pb.js'
import streamsMessages from '@eventstore/db-client/generated/streams_pb.js'
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js'
import type { EventLog } from './event-log.ts'
import type { ExpectedRevision } from './expected-revision.ts'
import { toStatus } from './refusals.ts'

/** Streams/Delete: the events go, the stream may come back. */
export async function answerDelete(
  log: EventLog,
  call: ServerUnaryCall<DeleteReq, InstanceType<typeof streamsMessages.DeleteResp>>,
  respond: sendUnaryData<InstanceType<typeof streamsMessages.DeleteResp>>,
): Promise<void> {
  const { streamName, expected } = parseOptions(call.request.getOptions())
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
  const { streamName, expected } = parseOptions(call.request.getOptions())
  const outcome = await log.tombstone(streamName, expected)
  if (outcome.kind !== 'written') return respond(toStatus(outcome, streamName))
  const { TombstoneResp } = streamsMessages
  const position = new TombstoneResp.Position()
  position.setCommitPosition(String(outcome.position)).setPreparePosition(String(outcome.position))
  respond(null, new TombstoneResp().setPosition(position))
}

function parseOptions(options: DeleteReq.Options | TombstoneReq.Options | undefined): {
  streamName: string
  expected: ExpectedRevision
} {
  const name = options?.getStreamIdentifier()?.getStreamName_asU8() ?? new Uint8Array(0)
  return { streamName: Buffer.from(name).toString(), expected: parseExpected(options) }
}

function parseExpected(options: DeleteReq.Options | TombstoneReq.Options | undefined): ExpectedRevision {
  if (options?.hasNoStream()) return 'no_stream'
  if (options?.hasStreamExists()) return 'stream_exists'
  return options?.hasRevision() ? Number(options.getRevision()) : 'any'
}
