/** What other clients send, and the official one for Node does not: the protocol spoken by hand. */
import { once } from 'node:events'
import sharedMessages from '@eventstore/db-client/generated/shared_pb.js'
import streamsServices from '@eventstore/db-client/generated/streams_grpc_pb.js'
import streamsMessages, {
  type BatchAppendResp,
  type ReadResp,
} from '@eventstore/db-client/generated/streams_pb.js'
import { credentials, type ServiceError, status } from '@grpc/grpc-js'
import emptyMessages from 'google-protobuf/google/protobuf/empty_pb.js'
import timestampMessages from 'google-protobuf/google/protobuf/timestamp_pb.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { collect, newStream, someEvents, useNode } from './node-under-test.ts'

const { AppendReq, BatchAppendReq, DeleteReq, ReadReq } = streamsMessages
const { Empty, StreamIdentifier, UUID } = sharedMessages

const node = useNode()
let streams: InstanceType<typeof streamsServices.StreamsClient>

beforeAll(() => {
  streams = new streamsServices.StreamsClient(new URL(node.url).host, credentials.createInsecure())
})
afterAll(() => streams.close())

describe('a read that asks for positions', () => {
  async function streamOf(count: number, truncateBefore: number): Promise<string> {
    const stream = newStream()
    await node.client.appendToStream(stream, someEvents(count))
    await node.client.setStreamMetadata(stream, { truncateBefore })
    return stream
  }

  test.each([
    ['forwards from the start', 5, 0, 'start', 100, ['0', '1', '2', '3', '4', 'last 4']],
    ['of two events', 5, 0, 'start', 2, ['0', '1', 'last 4']],
    ['from a page before the first', 40, 35, 'start', 2, ['first 35', '35', '36', 'last 39']],
    ['from just before the first', 5, 3, 'start', 10, ['3', '4', 'last 4']],
    ['from past the end', 5, 0, '9', 10, ['first 5', 'last 4']],
    ['from the end', 5, 0, '5', 10, ['last 4']],
  ] as const)(
    '%s says where the stream begins and ends',
    async (_, count, truncated, from, maxCount, expected) => {
      const options = readOptions(await streamOf(count, truncated), from, maxCount)
      options.setControlOption(new ReadReq.Options.ControlOption().setCompatibility(1))
      const answers = await read(options)
      expect(answers.map(toWords)).toEqual(expected)
    },
  )

  test('is answered by events alone to one who does not ask', async () => {
    const answers = await read(readOptions(await streamOf(3, 0), 'start', 10))
    expect(answers.map(toWords)).toEqual(['0', '1', '2'])
  })

  function toWords(answer: ReadResp): string {
    if (answer.hasFirstStreamPosition()) return `first ${answer.getFirstStreamPosition()}`
    if (answer.hasLastStreamPosition()) return `last ${answer.getLastStreamPosition()}`
    return answer.getEvent()?.getEvent()?.getStreamRevision() ?? 'something else'
  }
})

describe('a filtered read of $all', () => {
  test.each([false, true])(
    'finds what matches beyond its search window (backwards: %s)',
    async (backwards) => {
      const mark = newStream('filtered')
      await node.client.appendToStream(`${mark}-a`, someEvents(2))
      await node.client.appendToStream(newStream(), someEvents(100))
      await node.client.appendToStream(`${mark}-b`, someEvents(2))
      const options = new ReadReq.Options().setCount('3').setReadDirection(backwards ? 1 : 0)
      const all = new ReadReq.Options.AllOptions()
      options.setAll(backwards ? all.setEnd(new Empty()) : all.setStart(new Empty()))
      const expression = new ReadReq.Options.FilterOptions.Expression().setRegex(`^${mark}-[ab]$`)
      const filter = new ReadReq.Options.FilterOptions().setStreamIdentifier(expression).setMax(10)
      options.setFilter(filter.setCheckpointintervalmultiplier(1))
      const found = (await read(options)).map((answer) => answer.getEvent()?.getEvent()?.getStreamRevision())
      expect(found).toEqual(backwards ? ['1', '0', '1'] : ['0', '1', '0'])
    },
  )

  test.each([
    ['without an expression', new ReadReq.Options.FilterOptions().setCheckpointintervalmultiplier(1)],
    ['with an empty expression', filterOf('', 1)],
    ['with a checkpoint interval of 0', filterOf('a', 0)],
    ['with a back-reference', filterOf('(a)\\1', 1)],
  ])('%s is refused with a sentence', async (_, filter) => {
    const options = new ReadReq.Options().setCount('1').setFilter(filter)
    options.setAll(new ReadReq.Options.AllOptions().setStart(new Empty()))
    await expect(read(options)).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringMatching(/filter|back-reference/),
    })
  })

  function filterOf(regex: string, interval: number) {
    const expression = new ReadReq.Options.FilterOptions.Expression().setRegex(regex)
    return new ReadReq.Options.FilterOptions()
      .setEventType(expression)
      .setCheckpointintervalmultiplier(interval)
  }
})

describe('a unary append', () => {
  test.each([
    ['type', proposed({ type: '' })],
    ['content-type', proposed({ contentType: undefined })],
  ])('without %s says what an event must have', async (_, event) => {
    const error = await append(appendOptions(newStream()).setAny(new Empty()), event)
    expect(error).toMatchObject({ code: status.INVALID_ARGUMENT })
    expect(error?.metadata.getMap()).toMatchObject({
      exception: 'missing-required-metadata-property',
      'required-metadata-properties': 'type,content-type',
    })
  })

  test.each([
    ['an expected revision', appendOptions(newStream())],
    ['a name', appendOptions('').setAny(new Empty())],
    ['a name that streams can have', appendOptions('$$$$metadata').setAny(new Empty())],
    ['a name of bounded length', appendOptions('x'.repeat(20_000)).setAny(new Empty())],
  ])('without %s is refused with a sentence', async (_, options) => {
    const error = await append(options, proposed())
    expect(error).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringMatching(/\w+ \w+ \w+/),
    })
  })

  function appendOptions(stream: string) {
    return new AppendReq.Options().setStreamIdentifier(identify(stream))
  }

  function proposed({
    type = 'Type',
    contentType,
  }: {
    type?: string
    contentType?: string | undefined
  } = json) {
    const message = new AppendReq.ProposedMessage().setId(new UUID().setString(crypto.randomUUID()))
    message.getMetadataMap().set('type', type)
    if (contentType !== undefined) message.getMetadataMap().set('content-type', contentType)
    return message
  }

  function append(
    options: InstanceType<typeof AppendReq.Options>,
    event: InstanceType<typeof AppendReq.ProposedMessage>,
  ): Promise<ServiceError | null> {
    return new Promise((resolve) => {
      const call = streams.append((error) => resolve(error))
      call.write(new AppendReq().setOptions(options))
      call.end(new AppendReq().setProposedMessage(event))
    })
  }
})

const json = { contentType: 'application/json' }

describe('a batch stream', () => {
  test('that the client ends answers everything first', async () => {
    const stream = newStream()
    const ids = Array.from({ length: 50 }, () => crypto.randomUUID())
    const answers = await batch(ids.map((id) => request(id, options(stream)).setIsFinal(true)))
    expect(answers.map(idOf).toSorted()).toEqual(ids.toSorted())
    expect(await collect(node.client.readStream(stream))).toHaveLength(50)
  })

  test('answers an append that runs out unfinished once, and passes over what comes of it later', async () => {
    const stream = newStream()
    const [late, other] = [crypto.randomUUID(), crypto.randomUUID()]
    const call = streams.batchAppend()
    const answers: BatchAppendResp[] = []
    call.on('data', (answer: BatchAppendResp) => answers.push(answer))
    const soon = new timestampMessages.Timestamp()
    soon.fromDate(new Date(Date.now() + 50))
    call.write(request(late, options(stream).setDeadline(soon)))
    await expect.poll(() => answers.length).toBe(1)
    call.write(request(late).setIsFinal(true))
    call.end(request(other, options(stream)).setIsFinal(true))
    await once(call, 'end')
    expect(answers.map(idOf)).toEqual([late, other])
    expect(answers[0]?.getError()?.getDetails()?.getTypeName()).toBe('event_store.client.Timeout')
    expect(await collect(node.client.readStream(stream))).toHaveLength(1)
  })

  test.each([
    ['options', request(crypto.randomUUID())],
    ['an expected revision', request(crypto.randomUUID(), noExpectation(newStream()))],
  ])('answers an append without %s with a sentence, and goes on', async (_, wrong) => {
    const right = request(crypto.randomUUID(), options(newStream())).setIsFinal(true)
    const answers = await batch([wrong.setIsFinal(true), right])
    const [refused] = answers.filter((answer) => answer.hasError())
    expect(refused?.getError()?.getDetails()?.getTypeName()).toBe('event_store.client.BadRequest')
    expect(refused?.getError()?.getMessage()).toMatch(/append (has|does)/)
    expect(answers).toHaveLength(2)
  })

  function options(stream: string) {
    return noExpectation(stream).setAny(new emptyMessages.Empty())
  }

  function noExpectation(stream: string) {
    return new BatchAppendReq.Options().setStreamIdentifier(identify(stream))
  }

  function request(id: string, given?: InstanceType<typeof BatchAppendReq.Options>) {
    const message = new BatchAppendReq.ProposedMessage().setId(new UUID().setString(crypto.randomUUID()))
    message.getMetadataMap().set('type', 'Type').set('content-type', 'application/json')
    const made = new BatchAppendReq().setCorrelationId(new UUID().setString(id))
    made.addProposedMessages(message)
    return given === undefined ? made : made.setOptions(given)
  }

  async function batch(requests: readonly InstanceType<typeof BatchAppendReq>[]): Promise<BatchAppendResp[]> {
    const call = streams.batchAppend()
    for (const each of requests) call.write(each)
    call.end()
    return Array.fromAsync<BatchAppendResp>(call)
  }

  function idOf(answer: BatchAppendResp): string | undefined {
    return answer.getCorrelationId()?.getString()
  }
})

describe('a deletion', () => {
  test.each([
    [
      'of a stream’s metadata',
      new DeleteReq.Options().setStreamIdentifier(identify('$$x')).setAny(new Empty()),
    ],
    ['without an expected revision', new DeleteReq.Options().setStreamIdentifier(identify('x'))],
  ])('%s is refused with a sentence', async (_, options) => {
    const error = await new Promise<ServiceError | null>((resolve) => {
      streams.delete(new DeleteReq().setOptions(options), resolve)
    })
    expect(error).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringMatching(/\w+ \w+ \w+/),
    })
  })
})

function readOptions(stream: string, from: string, maxCount: number) {
  const streamOptions = new ReadReq.Options.StreamOptions().setStreamIdentifier(identify(stream))
  if (from === 'start') streamOptions.setStart(new Empty())
  else streamOptions.setRevision(from)
  return new ReadReq.Options().setStream(streamOptions).setCount(String(maxCount)).setNoFilter(new Empty())
}

function read(options: InstanceType<typeof ReadReq.Options>): Promise<ReadResp[]> {
  return Array.fromAsync<ReadResp>(streams.read(new ReadReq().setOptions(options)))
}

function identify(stream: string) {
  return new StreamIdentifier().setStreamName(Buffer.from(stream))
}
