import { END_OF_STREAM, type RecordedEvent } from './events.ts'
import { encode, type ProtobufWriter } from './protobuf.ts'

/*
 * ReadResp of streams.proto in EventStoreDB's repository (src/Protos/Grpc). It passes once per event, so it is written
 * by hand; a test holds it equal to the generated class.
 */

const MAX_INT64 = 2n ** 63n - 1n

/** How the reader wants its UUIDs. */
export type UuidForm = 'string' | 'structured'

/** An event, and the link through which it was found, if any. `event` is missing when the link leads nowhere. */
export interface ResolvedEvent {
  readonly event: RecordedEvent | undefined
  readonly link: RecordedEvent | undefined
}

export function encodeReadEvent({ event, link }: ResolvedEvent, uuidForm: UuidForm): Buffer {
  return encode((writer) =>
    writer.message(1, () => {
      const position = (link ?? event)?.position
      if (position !== undefined) writer.integer(3, position)
      if (link !== undefined) writer.message(2, () => writeRecorded(writer, link, uuidForm))
      if (event !== undefined) writer.message(1, () => writeRecorded(writer, event, uuidForm))
    }),
  )
}

export function encodeConfirmation(subscriptionId: string): Buffer {
  return encode((writer) => writer.message(2, () => writer.text(1, subscriptionId)))
}

export function encodeCheckpoint(position: number): Buffer {
  return encode((writer) =>
    writer.message(3, () => {
      writer.integer(2, position)
      writer.integer(1, position)
    }),
  )
}

export function encodeStreamNotFound(streamName: string): Buffer {
  return encode((writer) => writer.message(4, () => writer.message(1, () => writer.text(3, streamName))))
}

/** Tells a reader who found nothing where it began that the stream's first event is at this revision. */
export function encodeFirstStreamPosition(revision: number): Buffer {
  return encode((writer) => writer.integer(5, revision))
}

export function encodeLastStreamPosition(revision: number): Buffer {
  return encode((writer) => writer.integer(6, revision))
}

export const caughtUp = encode((writer) => writer.empty(8))

export const fellBehind = encode((writer) => writer.empty(9))

function writeRecorded(writer: ProtobufWriter, event: RecordedEvent, uuidForm: UuidForm): void {
  if (event.data.length > 0) writer.bytes(8, event.data)
  if (event.metadata.length > 0) writer.bytes(7, event.metadata)
  writeEntry(writer, 'content-type', event.isJson ? 'application/json' : 'application/octet-stream')
  writeEntry(writer, 'created', `${event.createdMs}0000`)
  writeEntry(writer, 'type', event.type)
  writer.integer(5, event.position)
  writer.integer(4, event.position)
  if (event.revision === END_OF_STREAM) writer.uint64(3, MAX_INT64)
  else if (event.revision > 0) writer.integer(3, event.revision)
  writer.message(2, () => writer.text(3, event.streamName))
  writer.message(1, () => {
    if (uuidForm === 'string') writer.text(2, event.id)
    else writeStructuredUuid(writer, event.id)
  })
}

function writeEntry(writer: ProtobufWriter, key: string, value: string): void {
  writer.message(6, () => {
    writer.text(2, value)
    writer.text(1, key)
  })
}

function writeStructuredUuid(writer: ProtobufWriter, uuid: string): void {
  const hex = uuid.replaceAll('-', '')
  writer.message(1, () => {
    writer.uint64(2, BigInt(`0x${hex.slice(16)}`))
    writer.uint64(1, BigInt(`0x${hex.slice(0, 16)}`))
  })
}
