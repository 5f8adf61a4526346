import sharedMessages from '@eventstore/db-client/generated/shared_pb.js'
import rpcMessages from '@eventstore/db-client/generated/status_pb.js'
import streamsMessages from '@eventstore/db-client/generated/streams_pb.js'
import { Metadata, type StatusObject, status } from '@grpc/grpc-js'
import anyMessages from 'google-protobuf/google/protobuf/any_pb.js'
import emptyMessages from 'google-protobuf/google/protobuf/empty_pb.js'
import type { AppendTarget, MalformedRequest } from './append-messages.ts'
import type { WriteOutcome } from './event-log.ts'
import type { ExpectedRevision } from './expected-revision.ts'

/** Everything that a write can be answered with, but that it was made. */
export type Refusal =
  | Exclude<WriteOutcome, { kind: 'written' }>
  | { readonly kind: 'too-big' }
  | { readonly kind: 'malformed'; readonly request: MalformedRequest }
  | { readonly kind: 'deadline-passed' }

/** What one append may carry: data, metadata, and two bytes for each character of a type. */
export const MAX_APPEND_BYTES = 1024 * 1024

/**
 * The refusal as a call's status, with the trailers from which the official client makes its typed errors
 * (`RpcExceptions` in the server, `CommandError` in the client).
 */
export function toStatus(refusal: Refusal, streamName: string): StatusObject {
  switch (refusal.kind) {
    case 'wrong-expected-version':
      return failure(status.FAILED_PRECONDITION, `the stream ${streamName} is not at the expected revision`, {
        exception: 'wrong-expected-version',
        'stream-name': streamName,
        'expected-version': String(expectedVersionNumber(refusal.expected)),
        'actual-version': refusal.currentRevision === null ? '' : String(refusal.currentRevision),
      })
    case 'stream-deleted':
      return streamDeleted(streamName)
    case 'too-big':
      return failure(status.INVALID_ARGUMENT, tooBig, {
        exception: 'maximum-append-size-exceeded',
        'maximum-append-size': String(MAX_APPEND_BYTES),
      })
    case 'malformed':
      return failure(
        status.INVALID_ARGUMENT,
        refusal.request.message,
        refusal.request.missingProperty === undefined
          ? {}
          : {
              exception: 'missing-required-metadata-property',
              'required-metadata-properties': 'type,content-type',
            },
      )
    case 'deadline-passed':
      return failure(status.ABORTED, 'the deadline had passed before the write was made')
    case 'refused':
      return failure(refusedStatus(refusal.reason), refusal.message)
  }
}

/** The status of any call on a stream that was deleted for good. */
export function streamDeleted(streamName: string): StatusObject {
  return failure(status.FAILED_PRECONDITION, `the stream ${streamName} is deleted`, {
    exception: 'stream-deleted',
    'stream-name': streamName,
  })
}

/** A status with trailers; what a trailer may not carry is percent-encoded, as grpc-js would throw on it. */
export function failure(code: status, details: string, trailers: Record<string, string> = {}): StatusObject {
  const metadata = new Metadata()
  for (const [key, value] of Object.entries(trailers)) {
    metadata.set(key, /^[ -~]*$/.test(value) ? value : encodeURIComponent(value))
  }
  return { code, details, metadata }
}

/** A unary append answers a wrong expected revision with a message, not with a status. */
export function encodeWrongExpectedVersion(refusal: Refusal & { kind: 'wrong-expected-version' }): Buffer {
  const { AppendResp } = streamsMessages
  const { expected, currentRevision } = refusal
  const wrong = new AppendResp.WrongExpectedVersion()
  if (currentRevision === null) wrong.setCurrentNoStream(new sharedMessages.Empty())
  else wrong.setCurrentRevision(String(currentRevision))
  if (expected === 'no_stream') wrong.setExpectedNoStream(new sharedMessages.Empty())
  else if (expected === 'any') wrong.setExpectedAny(new sharedMessages.Empty())
  else if (expected === 'stream_exists') wrong.setExpectedStreamExists(new sharedMessages.Empty())
  else wrong.setExpectedRevision(String(expected))
  return Buffer.from(new AppendResp().setWrongExpectedVersion(wrong).serializeBinary())
}

/** The refusal of one append of a batch stream, which itself goes on. */
export function encodeBatchAppendRefusal(
  refusal: Refusal,
  correlationId: Buffer,
  target: AppendTarget | undefined,
): Buffer {
  const { code, message, typeName, details } = toBatchError(refusal, target?.streamName ?? '')
  const any = new anyMessages.Any()
  any.pack(details.serializeBinary(), typeName)
  const error = new rpcMessages.Status().setMessage(message).setDetails(any)
  // google.rpc.Code and gRPC's status codes are the same numbers.
  error.setCode(Number(code))
  const response = new streamsMessages.BatchAppendResp()
  response.setError(error)
  response.setCorrelationId(sharedMessages.UUID.deserializeBinary(correlationId))
  response.setStreamIdentifier(identify(target?.streamName ?? ''))
  return Buffer.from(response.serializeBinary())
}

interface BatchError {
  readonly code: status
  readonly message: string
  readonly typeName: string
  readonly details: { serializeBinary(): Uint8Array }
}

function toBatchError(refusal: Refusal, streamName: string): BatchError {
  switch (refusal.kind) {
    case 'wrong-expected-version':
      return {
        code: status.ALREADY_EXISTS,
        message: 'the stream is not at the expected revision',
        typeName: 'event_store.client.WrongExpectedVersion',
        details: wrongExpectedVersion(refusal.expected, refusal.currentRevision),
      }
    case 'stream-deleted':
      return {
        code: status.NOT_FOUND,
        message: 'the stream is deleted',
        typeName: 'event_store.client.StreamDeleted',
        details: new sharedMessages.StreamDeleted().setStreamIdentifier(identify(streamName)),
      }
    case 'too-big':
      return {
        code: status.INVALID_ARGUMENT,
        message: tooBig,
        typeName: 'event_store.client.MaximumAppendSizeExceeded',
        details: new sharedMessages.MaximumAppendSizeExceeded().setMaxappendsize(MAX_APPEND_BYTES),
      }
    case 'malformed':
      return {
        code: status.INVALID_ARGUMENT,
        message: refusal.request.message,
        typeName: 'event_store.client.BadRequest',
        details: new sharedMessages.BadRequest().setMessage(refusal.request.message),
      }
    case 'deadline-passed':
      return {
        code: status.DEADLINE_EXCEEDED,
        message: 'the deadline had passed before the write was made',
        typeName: 'event_store.client.Timeout',
        details: new sharedMessages.Timeout(),
      }
    case 'refused':
      return {
        code: refusedStatus(refusal.reason),
        message: refusal.message,
        typeName: 'google.protobuf.Empty',
        details: new emptyMessages.Empty(),
      }
  }
}

const tooBig = `an append may carry ${MAX_APPEND_BYTES} bytes`

function wrongExpectedVersion(expected: ExpectedRevision, currentRevision: number | null) {
  const wrong = new sharedMessages.WrongExpectedVersion()
  if (currentRevision === null) wrong.setCurrentNoStream(new emptyMessages.Empty())
  else wrong.setCurrentStreamRevision(String(currentRevision))
  if (expected === 'no_stream') wrong.setExpectedNoStream(new emptyMessages.Empty())
  else if (expected === 'any') wrong.setExpectedAny(new emptyMessages.Empty())
  else if (expected === 'stream_exists') wrong.setExpectedStreamExists(new emptyMessages.Empty())
  else wrong.setExpectedStreamPosition(String(expected))
  return wrong
}

function identify(streamName: string) {
  return new sharedMessages.StreamIdentifier().setStreamName(Buffer.from(streamName))
}

/** UNAVAILABLE makes clients reconnect, which helps against a node that is stopping, not against a full disk. */
function refusedStatus(reason: 'closing' | 'storage'): status {
  return reason === 'closing' ? status.UNAVAILABLE : status.RESOURCE_EXHAUSTED
}

function expectedVersionNumber(expected: ExpectedRevision): number {
  if (typeof expected === 'number') return expected
  return { no_stream: -1, any: -2, stream_exists: -4 }[expected]
}
