import { formatUuid } from './event-reader.ts'
import type { ProposedEvent } from './events.ts'
import type { ExpectedRevision } from './expected-revision.ts'
import { decode, encode, type ProtobufWriter } from './protobuf.ts'

/*
 * AppendReq, BatchAppendReq and their answers, of streams.proto and shared.proto in EventStoreDB's repository
 * (src/Protos/Grpc). They pass once per event, so they are read and written by hand; a test holds them equal to
 * the generated classes.
 */

/** Raised on a request that says nothing a log could do; the message names what is wrong. */
export class MalformedRequest extends Error {
  override readonly name = 'MalformedRequest'
  readonly missingProperty: 'type' | 'content-type' | undefined

  constructor(message: string, missingProperty?: 'type' | 'content-type') {
    super(message)
    this.missingProperty = missingProperty
  }
}

/** Where a write goes and what it expects to find there; undefined when it does not say. */
export interface AppendTarget {
  readonly streamName: string
  readonly expected: ExpectedRevision | undefined
  readonly deadlineMs: number | undefined
}

/** One message of a unary append: the first carries the target, each other one an event. */
export type AppendRequest =
  | { readonly kind: 'target'; readonly target: AppendTarget }
  | { readonly kind: 'event'; readonly event: Proposal }
  | { readonly kind: 'nothing' }

/** One message of a batch append; the messages of one append share a correlation id, the first has the target. */
export interface BatchAppendRequest {
  /** The UUID message as it was sent: the answer carries the same bytes. */
  readonly correlationId: Buffer
  readonly target: AppendTarget | undefined
  readonly events: readonly Proposal[]
  readonly isFinal: boolean
}

/** An event as it was sent, or what is wrong with it: a fault is an answer to the append, not to the connection. */
export type Proposal = ProposedEvent | MalformedRequest

export function decodeAppendRequest(message: Buffer): AppendRequest {
  let request: AppendRequest = { kind: 'nothing' }
  decode(message, (field, value) => {
    if (typeof value === 'number') return
    if (field === 1) request = { kind: 'target', target: decodeTarget(value) }
    if (field === 2) request = { kind: 'event', event: decodeProposal(value) }
  })
  return request
}

export function decodeBatchAppendRequest(message: Buffer): BatchAppendRequest {
  let correlationId: Buffer = noBytes
  let target: AppendTarget | undefined
  let isFinal = false
  const events: Proposal[] = []
  decode(message, (field, value) => {
    if (field === 4) isFinal = value !== 0
    if (typeof value === 'number') return
    if (field === 1) correlationId = value
    if (field === 2) target = decodeTarget(value)
    if (field === 3) events.push(decodeProposal(value))
  })
  return { correlationId, target, events, isFinal }
}

/**
 * AppendReq.Options and BatchAppendReq.Options agree in the fields 1 to 5; only the latter has a deadline: a Timestamp (6),
 * or a Duration (7) from when the request is read.
 */
function decodeTarget(message: Buffer): AppendTarget {
  let streamName = ''
  let expected: ExpectedRevision | undefined
  let deadlineMs: number | undefined
  decode(message, (field, value) => {
    if (field === 2 && typeof value === 'number') expected = value
    if (field === 3) expected = 'no_stream'
    if (field === 4) expected = 'any'
    if (field === 5) expected = 'stream_exists'
    if (typeof value === 'number') return
    if (field === 1) streamName = decodeStreamIdentifier(value)
    if (field === 6) deadlineMs = decodeTime(value)
    if (field === 7) deadlineMs = Date.now() + decodeTime(value)
  })
  return { streamName, expected, deadlineMs }
}

const noBytes: Buffer = Buffer.alloc(0)

function decodeProposal(message: Buffer): Proposal {
  let id = ''
  let type: string | undefined
  let contentType: string | undefined
  let metadata: Uint8Array = noBytes
  let data: Uint8Array = noBytes
  decode(message, (field, value) => {
    if (typeof value === 'number') return
    if (field === 1) id = decodeUuid(value)
    if (field === 2) {
      const [key, text] = decodeMapEntry(value)
      if (key === 'type') type = text
      if (key === 'content-type') contentType = text
    }
    if (field === 3) metadata = value
    if (field === 4) data = value
  })
  if (type === undefined || type === '') return new MalformedRequest('an event has no type', 'type')
  if (contentType === undefined) return new MalformedRequest('an event has no content type', 'content-type')
  if (!isUuid(id)) return new MalformedRequest('an event has no UUID')
  return { id, type, isJson: contentType === 'application/json', data, metadata }
}

function decodeMapEntry(message: Buffer): [string, string] {
  let key = ''
  let text = ''
  decode(message, (field, value) => {
    if (typeof value === 'number') return
    if (field === 1) key = value.toString()
    if (field === 2) text = value.toString()
  })
  return [key, text]
}

/** A UUID comes as a string or as two big-endian int64s; it is used in lower case. */
function decodeUuid(message: Buffer): string {
  let uuid = ''
  decode(message, (field, value) => {
    if (typeof value === 'number') return
    if (field === 2) uuid = value.toString('latin1').toLowerCase()
    if (field === 1) uuid = formatUuid(decodeStructuredUuid(value))
  })
  return uuid
}

function decodeStructuredUuid(message: Buffer): Uint8Array {
  const halves = new DataView(new ArrayBuffer(16))
  // Read apart from decode(), whose numbers are not exact above 2^53.
  for (let at = 0; at < message.length; ) {
    const half = message[at] === 0x08 ? 0 : 8
    let bits = 0n
    at += 1
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at] ?? 0
      bits |= BigInt(byte & 0x7f) << shift
      at += 1
      if (byte < 0x80) break
    }
    halves.setBigUint64(half, BigInt.asUintN(64, bits))
  }
  return new Uint8Array(halves.buffer)
}

const UUID_PATTERN = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function isUuid(text: string): boolean {
  return UUID_PATTERN.test(text)
}

function decodeStreamIdentifier(message: Buffer): string {
  let name = ''
  decode(message, (field, value) => {
    if (field === 3 && typeof value !== 'number') name = value.toString()
  })
  return name
}

/** Timestamp and Duration have the same fields. */
function decodeTime(message: Buffer): number {
  let ms = 0
  decode(message, (field, value) => {
    if (typeof value !== 'number') return
    if (field === 1) ms += value * 1000
    if (field === 2) ms += value / 1_000_000
  })
  return ms
}

/** The answer to a batch append that was made, then or earlier. `position` is missing where it is no longer known. */
export function encodeBatchAppendSuccess(
  correlationId: Buffer,
  target: AppendTarget,
  lastRevision: number,
  position: number | undefined,
): Buffer {
  return encode((writer) => {
    writeExpected(writer, target.expected)
    writer.message(4, () => writer.text(3, target.streamName))
    writer.message(3, () => writeSuccess(writer, lastRevision, position))
    writer.bytes(1, correlationId)
  })
}

/** The answer to a unary append that was made, then or earlier. */
export function encodeAppendSuccess(lastRevision: number, position: number | undefined): Buffer {
  return encode((writer) => writer.message(1, () => writeSuccess(writer, lastRevision, position)))
}

/** The Success messages of AppendResp and BatchAppendResp have the same fields. */
function writeSuccess(writer: ProtobufWriter, lastRevision: number, position: number | undefined): void {
  if (position === undefined) writer.empty(4)
  else {
    writer.message(3, () => {
      writer.integer(2, position)
      writer.integer(1, position)
    })
  }
  if (lastRevision < 0) writer.empty(2)
  else writer.integer(1, lastRevision)
}

function writeExpected(writer: ProtobufWriter, expected: ExpectedRevision | undefined): void {
  if (expected === undefined) return
  if (expected === 'no_stream') writer.empty(6)
  else if (expected === 'any') writer.empty(7)
  else if (expected === 'stream_exists') writer.empty(8)
  else writer.integer(5, expected)
}
