import sharedMessages from '@eventstore/db-client/generated/shared_pb.js'
import streamsMessages from '@eventstore/db-client/generated/streams_pb.js'
import * as fc from 'fast-check'
import durationMessages from 'google-protobuf/google/protobuf/duration_pb.js'
import emptyMessages from 'google-protobuf/google/protobuf/empty_pb.js'
import timestampMessages from 'google-protobuf/google/protobuf/timestamp_pb.js'
import { expect, test } from 'vitest'
import {
  type AppendTarget,
  decodeAppendRequest,
  decodeBatchAppendRequest,
  encodeAppendSuccess,
  encodeBatchAppendSuccess,
  MalformedRequest,
} from '../../../src/embedded/event-store/append-messages.ts'
import {
  END_OF_STREAM,
  type ProposedEvent,
  type RecordedEvent,
} from '../../../src/embedded/event-store/events.ts'
import type { ExpectedRevision } from '../../../src/embedded/event-store/expected-revision.ts'
import {
  caughtUp,
  encodeCheckpoint,
  encodeConfirmation,
  encodeReadEvent,
  encodeStreamNotFound,
  fellBehind,
  type UuidForm,
} from '../../../src/embedded/event-store/read-messages.ts'
import {
  encodeBatchAppendRefusal,
  encodeWrongExpectedVersion,
} from '../../../src/embedded/event-store/refusals.ts'

const { AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, ReadResp } = streamsMessages
const { UUID, StreamIdentifier, WrongExpectedVersion } = sharedMessages
const { Empty } = emptyMessages

const text = fc.string({ unit: 'binary' })
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
// Small numbers are as likely as such that need more than 32 bits: both forms of a varint.
const natural = fc.oneof(fc.nat(300), fc.maxSafeNat())
const position = natural.map((n) => Math.max(n, 1))
const uuid = fc.oneof(
  fc.uuid(),
  fc.constantFrom(
    '00000000-0000-0000-0000-000000000000',
    '00000000-0000-0000-8000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
  ),
)
const uuidForm = fc.constantFrom<UuidForm>('string', 'structured')
const expectedRevision: fc.Arbitrary<ExpectedRevision> = fc.oneof(
  natural,
  fc.constantFrom('any' as const, 'no_stream' as const, 'stream_exists' as const),
)
const proposed: fc.Arbitrary<ProposedEvent> = fc.record({
  id: uuid,
  type: text.filter((type) => type !== ''),
  isJson: fc.boolean(),
  data: bytes,
  metadata: bytes,
})
const recorded: fc.Arbitrary<RecordedEvent> = fc
  .record({
    position,
    streamName: text,
    revision: fc.oneof(natural, fc.constant(END_OF_STREAM)),
    createdMs: fc.nat(2 ** 41).map((ms) => ms + 1),
  })
  .chain((place) => proposed.map((event) => ({ ...event, ...place })))

test('a unary append is read as it was sent', () => {
  void fc.assert(
    fc.property(text, expectedRevision, proposed, uuidForm, (streamName, expected, event, form) => {
      const options = new AppendReq.Options().setStreamIdentifier(identify(streamName))
      if (expected === 'any') options.setAny(new sharedMessages.Empty())
      else if (expected === 'no_stream') options.setNoStream(new sharedMessages.Empty())
      else if (expected === 'stream_exists') options.setStreamExists(new sharedMessages.Empty())
      else options.setRevision(String(expected))
      expect(decodeAppendRequest(serialize(new AppendReq().setOptions(options)))).toEqual({
        kind: 'target',
        target: { streamName, expected, deadlineMs: undefined },
      })
      const message = fill(new AppendReq.ProposedMessage(), event, form)
      expect(decodeAppendRequest(serialize(new AppendReq().setProposedMessage(message)))).toEqual({
        kind: 'event',
        event,
      })
    }),
  )
  expect(decodeAppendRequest(serialize(new AppendReq()))).toEqual({ kind: 'nothing' })
})

test('a deadline may be a duration, which the generated classes do not know', () => {
  const duration = Buffer.from(new durationMessages.Duration().setSeconds(60).serializeBinary())
  const options = serialize(new BatchAppendReq.Options().setAny(new Empty()))
  const longer = Buffer.concat([options, Buffer.of((7 << 3) | 2, duration.length), duration])
  const request = Buffer.concat([Buffer.of((2 << 3) | 2, longer.length), longer])
  const deadlineMs = decodeBatchAppendRequest(request).target?.deadlineMs ?? 0
  expect(deadlineMs - Date.now()).toBeGreaterThan(30_000)
  expect(deadlineMs - Date.now()).toBeLessThanOrEqual(60_000)
})

test('a batch append is read as it was sent, with or without options, deadline and events', () => {
  const deadlineMs = fc.option(fc.nat(2 ** 42), { nil: undefined })
  const target = fc.record({ streamName: text, expected: expectedRevision, deadlineMs })
  void fc.assert(
    fc.property(
      uuid,
      uuidForm,
      fc.option(target, { nil: undefined }),
      fc.array(proposed, { maxLength: 4 }),
      fc.boolean(),
      (correlationId, form, target, events, isFinal) => {
        const id = toUuid(correlationId, form)
        const request = new BatchAppendReq().setCorrelationId(id).setIsFinal(isFinal)
        if (target !== undefined) request.setOptions(toBatchOptions(target))
        for (const event of events)
          request.addProposedMessages(fill(new BatchAppendReq.ProposedMessage(), event, form))
        expect(decodeBatchAppendRequest(serialize(request))).toEqual({
          correlationId: serialize(id),
          target,
          events,
          isFinal,
        })
      },
    ),
  )
})

test('a UUID in capitals is read in lower case, and an event without id, type or content type as malformed', () => {
  const event = { id: `${'A'.repeat(8) + '-BBBB'.repeat(3)}-${'C'.repeat(12)}`, type: 't', isJson: true }
  const whole = { ...event, data: Buffer.alloc(0), metadata: Buffer.alloc(0) }
  const read = (message: streamsMessages.AppendReq.ProposedMessage) =>
    decodeAppendRequest(serialize(new AppendReq().setProposedMessage(message)))
  const message = () => fill(new AppendReq.ProposedMessage(), whole, 'string')
  expect(read(message())).toEqual({ kind: 'event', event: { ...whole, id: event.id.toLowerCase() } })

  const withoutId = message()
  withoutId.clearId()
  expect(read(withoutId)).toMatchObject({ event: expect.any(MalformedRequest) })
  for (const missingProperty of ['type', 'content-type']) {
    const without = message()
    without.getMetadataMap().del(missingProperty)
    expect(read(without)).toMatchObject({ event: { missingProperty } })
  }
})

test('the success of an append says its revision and position, or that there is none', () => {
  const lastRevision = fc.oneof(natural, fc.constant(-1))
  void fc.assert(
    fc.property(
      uuid,
      uuidForm,
      text,
      expectedRevision,
      lastRevision,
      fc.option(position, { nil: undefined }),
      (correlationId, form, streamName, expected, revision, position) => {
        const id = toUuid(correlationId, form)
        const target = { streamName, expected, deadlineMs: undefined }
        const batch = BatchAppendResp.deserializeBinary(
          encodeBatchAppendSuccess(serialize(id), target, revision, position),
        )
        const unary = AppendResp.deserializeBinary(encodeAppendSuccess(revision, position))
        expect(batch.getCorrelationId()?.toObject()).toEqual(id.toObject())
        expect(nameIn(batch)).toBe(streamName)
        expect({
          any: batch.hasAny(),
          no_stream: batch.hasNoStream(),
          stream_exists: batch.hasStreamExists(),
          revision: batch.hasStreamPosition() && batch.getStreamPosition(),
        }).toEqual(variantsOf(expected))
        const position64 = String(position)
        const at = position && { commitPosition: position64, preparePosition: position64 }
        for (const success of [batch.getSuccess(), unary.getSuccess()]) {
          expect(success?.getPosition()?.toObject()).toEqual(at)
          expect(success?.hasNoPosition()).toBe(position === undefined)
          expect(success?.hasNoStream()).toBe(revision < 0)
          expect(success?.hasCurrentRevision()).toBe(revision >= 0)
          expect(success?.getCurrentRevision()).toBe(String(Math.max(revision, 0)))
        }
      },
    ),
  )
})

test('a wrong expected version says what was expected and what there is', () => {
  const currentRevision = fc.option(natural)
  void fc.assert(
    fc.property(uuid, text, expectedRevision, currentRevision, (id, streamName, expected, current) => {
      const refusal = { kind: 'wrong-expected-version' as const, expected, currentRevision: current }
      const target = { streamName, expected, deadlineMs: undefined }
      const correlationId = toUuid(id, 'structured')
      const batch = BatchAppendResp.deserializeBinary(
        encodeBatchAppendRefusal(refusal, serialize(correlationId), target),
      )
      const inBatch = batch
        .getError()
        ?.getDetails()
        ?.unpack(WrongExpectedVersion.deserializeBinary, 'event_store.client.WrongExpectedVersion')
      const unary = AppendResp.deserializeBinary(
        encodeWrongExpectedVersion(refusal),
      ).getWrongExpectedVersion()
      expect(batch.getCorrelationId()?.toObject()).toEqual(correlationId.toObject())
      expect(nameIn(batch)).toBe(streamName)
      expect({
        any: inBatch?.hasExpectedAny(),
        no_stream: inBatch?.hasExpectedNoStream(),
        stream_exists: inBatch?.hasExpectedStreamExists(),
        revision: inBatch?.hasExpectedStreamPosition() && inBatch.getExpectedStreamPosition(),
      }).toEqual(variantsOf(expected))
      expect({
        any: unary?.hasExpectedAny(),
        no_stream: unary?.hasExpectedNoStream(),
        stream_exists: unary?.hasExpectedStreamExists(),
        revision: unary?.hasExpectedRevision() && unary.getExpectedRevision(),
      }).toEqual(variantsOf(expected))
      for (const wrong of [inBatch, unary]) expect(wrong?.hasCurrentNoStream()).toBe(current === null)
      expect(inBatch?.getCurrentStreamRevision()).toBe(String(current ?? 0))
      expect(unary?.getCurrentRevision()).toBe(String(current ?? 0))
    }),
  )
})

test('an event is sent to a reader with the link to it, and with the position of the link if there is one', () => {
  const maybe = fc.option(recorded, { nil: undefined })
  void fc.assert(
    fc.property(maybe, maybe, uuidForm, (event, link, form) => {
      const read = ReadResp.deserializeBinary(encodeReadEvent({ event, link }, form)).getEvent()
      const first = link ?? event
      expect(read?.hasCommitPosition()).toBe(first !== undefined)
      expect(read?.getCommitPosition()).toBe(String(first?.position ?? 0))
      expect(fieldsOf(read?.getEvent())).toEqual(event && fieldsSentOf(event, form))
      expect(fieldsOf(read?.getLink())).toEqual(link && fieldsSentOf(link, form))
    }),
  )
})

test('what a reader is told besides events is what the generated class reads', () => {
  void fc.assert(
    fc.property(text, position, (name, position) => {
      const confirmation = ReadResp.deserializeBinary(encodeConfirmation(name)).getConfirmation()
      expect(confirmation?.getSubscriptionId()).toBe(name)
      const notFound = ReadResp.deserializeBinary(encodeStreamNotFound(name)).getStreamNotFound()
      expect(nameIn(notFound)).toBe(name)
      expect(ReadResp.deserializeBinary(encodeCheckpoint(position)).getCheckpoint()?.toObject()).toEqual({
        commitPosition: String(position),
        preparePosition: String(position),
      })
    }),
  )
  expect(ReadResp.deserializeBinary(caughtUp).hasCaughtUp()).toBe(true)
  expect(ReadResp.deserializeBinary(fellBehind).hasFellBehind()).toBe(true)
})

type Uuid = sharedMessages.UUID
type Identifier = sharedMessages.StreamIdentifier
type ProposedMessage =
  | streamsMessages.AppendReq.ProposedMessage
  | streamsMessages.BatchAppendReq.ProposedMessage

function serialize(message: { serializeBinary(): Uint8Array }): Buffer {
  return Buffer.from(message.serializeBinary())
}

function identify(streamName: string): Identifier {
  return new StreamIdentifier().setStreamName(Buffer.from(streamName))
}

function nameIn(message: { getStreamIdentifier(): Identifier | undefined } | undefined): string {
  return Buffer.from(message?.getStreamIdentifier()?.getStreamName_asU8() ?? []).toString()
}

function toUuid(id: string, form: UuidForm): Uuid {
  if (form === 'string') return new UUID().setString(id)
  const hex = id.replaceAll('-', '')
  const half = (digits: string) => String(BigInt.asIntN(64, BigInt(`0x${digits}`)))
  return new UUID().setStructured(
    new UUID.Structured()
      .setMostSignificantBits(half(hex.slice(0, 16)))
      .setLeastSignificantBits(half(hex.slice(16))),
  )
}

function toBatchOptions({ streamName, expected, deadlineMs }: AppendTarget) {
  const options = new BatchAppendReq.Options().setStreamIdentifier(identify(streamName))
  if (expected === 'any') options.setAny(new Empty())
  else if (expected === 'no_stream') options.setNoStream(new Empty())
  else if (expected === 'stream_exists') options.setStreamExists(new Empty())
  else options.setStreamPosition(String(expected))
  if (deadlineMs !== undefined)
    options.setDeadline(timestampMessages.Timestamp.fromDate(new Date(deadlineMs)))
  return options
}

function fill<Message extends ProposedMessage>(
  message: Message,
  event: ProposedEvent,
  form: UuidForm,
): Message {
  message.setId(toUuid(event.id, form))
  message.setData(event.data)
  message.setCustomMetadata(event.metadata)
  message.getMetadataMap().set('type', event.type).set('content-type', contentTypeOf(event))
  return message
}

function contentTypeOf({ isJson }: ProposedEvent): string {
  return isJson ? 'application/json' : 'application/octet-stream'
}

function variantsOf(expected: ExpectedRevision) {
  return {
    any: expected === 'any',
    no_stream: expected === 'no_stream',
    stream_exists: expected === 'stream_exists',
    revision: typeof expected === 'number' && String(expected),
  }
}

function fieldsOf(event: streamsMessages.ReadResp.ReadEvent.RecordedEvent | undefined) {
  return (
    event && {
      id: event.getId()?.toObject(),
      streamName: nameIn(event),
      revision: event.getStreamRevision(),
      positions: [event.getCommitPosition(), event.getPreparePosition()],
      properties: new Map(event.getMetadataMap().getEntryList()),
      metadata: Buffer.from(event.getCustomMetadata_asU8()),
      data: Buffer.from(event.getData_asU8()),
    }
  )
}

function fieldsSentOf(event: RecordedEvent, form: UuidForm): ReturnType<typeof fieldsOf> {
  return {
    id: toUuid(event.id, form).toObject(),
    streamName: event.streamName,
    revision: event.revision === END_OF_STREAM ? String(2n ** 63n - 1n) : String(event.revision),
    positions: [String(event.position), String(event.position)],
    properties: new Map([
      ['type', event.type],
      ['created', String(BigInt(event.createdMs) * 10_000n)],
      ['content-type', contentTypeOf(event)],
    ]),
    metadata: Buffer.from(event.metadata),
    data: Buffer.from(event.data),
  }
}
