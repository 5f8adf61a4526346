import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client'
import sharedMessages from '@eventstore/db-client/generated/shared_pb.js'
import streamsMessages from '@eventstore/db-client/generated/streams_pb.js'
import emptyMessages from 'google-protobuf/google/protobuf/empty_pb.js'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

const STALLED_READERS = 1000
const EVENTS = 10_000
const EVENT_BYTES = 1000
const MIB = 1024 * 1024

let directory: TemporaryDirectory
let node: ChildProcess
let lines: Interface
let client: EventStoreDBClient
let session: ClientHttp2Session
beforeEach(async () => {
  directory = await temporaryDirectory()
  const script = fileURLToPath(new URL('./node-process.ts', import.meta.url))
  const child = spawn(process.execPath, [script, directory.path], { stdio: ['pipe', 'pipe', 'inherit'] })
  node = child
  lines = createInterface(child.stdout)
  const [url] = await once(lines, 'line')
  client = EventStoreDBClient.connectionString(String(url))
  session = connect(`http://127.0.0.1:${new URL(String(url)).port}`)
  session.on('error', () => {})
})
afterEach(async () => {
  session.destroy()
  await client.dispose()
  const exited = once(node, 'exit')
  node.kill('SIGKILL')
  await exited
  await directory.remove()
})

async function memoryOfNode(): Promise<number> {
  node.stdin?.write('\n')
  const [bytes] = await once(lines, 'line')
  return Number(bytes)
}

/** A call whose answers are read by nobody until someone listens to it. */
function call(method: string): ClientHttp2Stream {
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: 'POST',
    [constants.HTTP2_HEADER_PATH]: `/event_store.client.streams.Streams/${method}`,
    [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
    te: 'trailers',
  })
  return stream.on('error', () => {})
}

function framed(message: { serializeBinary(): Uint8Array }): Buffer {
  const bytes = message.serializeBinary()
  const header = Buffer.alloc(5)
  header.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([header, bytes])
}

/** Of $all, forwards from the start: a subscription, or a read of everything. */
function readOfAll(kind: 'subscription' | 'read'): Buffer {
  const { ReadReq } = streamsMessages
  const options = new ReadReq.Options()
    .setAll(new ReadReq.Options.AllOptions().setStart(new sharedMessages.Empty()))
    .setNoFilter(new sharedMessages.Empty())
    .setUuidOption(new ReadReq.Options.UUIDOption().setString(new sharedMessages.Empty()))
  if (kind === 'subscription') options.setSubscription(new ReadReq.Options.SubscriptionOptions())
  else options.setCount(String(EVENTS))
  return framed(new ReadReq().setOptions(options))
}

test.each(['subscription', 'read'] as const)(
  `${STALLED_READERS} readers that stop reading (%s) cost bounded memory, and others go on`,
  async (kind) => {
    for (let written = 0; written < EVENTS; written += 500) await client.appendToStream('s', events(500))
    const before = await memoryOfNode()
    const stalled = Array.from({ length: STALLED_READERS }, () => call('Read').end(readOfAll(kind)))
    await Promise.all(stalled.map((stream) => once(stream, 'response')))

    const live = client.subscribeToAll({ fromPosition: 'end' })
    await once(live, 'caughtUp')
    let arrived = 0
    live.on('data', () => {
      arrived += 1
    })
    for (let round = 1; round <= 20; round += 1) {
      await client.appendToStream('s', events(50))
      while (arrived < round * 50) await once(live, 'data')
    }
    await live.unsubscribe()

    const unbounded = STALLED_READERS * EVENTS * EVENT_BYTES
    expect((await memoryOfNode()) - before).toBeLessThan(unbounded / 10)
    for (const stream of stalled) expect(stream.readableEnded || stream.destroyed).toBe(false)
  },
)

test('a batch stream that begins appends and never finishes one is ended, at a bound', async () => {
  const before = await memoryOfNode()
  const stream = call('BatchAppend')
  let status: unknown
  const ended = new Promise<void>((resolve) => {
    stream.on('response', (headers) => {
      status = headers['grpc-status']
      resolve()
    })
  })
  const data = Buffer.alloc(MIB / 2)
  let begun = 0
  while (status === undefined && begun < 512) {
    begun += 1
    const request = batchAppend(`never-${begun}`, data, false)
    await Promise.race([new Promise((resolve) => stream.write(request, resolve)), ended])
  }
  await ended
  expect(status).toBe('8')
  expect(begun).toBeLessThan(512)
  expect((await memoryOfNode()) - before).toBeLessThan(128 * MIB)
})

test('a batch stream whose answers are not read waits, and then has each append answered once', async () => {
  const stream = call('BatchAppend')
  const appends = 20_000
  const data = Buffer.alloc(100)
  const sent = (async () => {
    for (let n = 0; n < appends; n += 1) {
      if (!stream.write(batchAppend(`s-${n % 10}`, data, true))) await once(stream, 'drain')
    }
    stream.end()
  })()
  // Its answers fill what the connection takes without a reader; others have one of their own.
  await client.appendToStream('other', events(1))
  expect(await memoryOfNode()).toBeGreaterThan(0)
  const answers = countMessages(stream)
  await sent
  expect(await answers).toBe(appends)
})

function events(count: number) {
  return Array.from({ length: count }, () => jsonEvent({ type: 'Something', data: 'x'.repeat(EVENT_BYTES) }))
}

function batchAppend(streamName: string, data: Buffer, isFinal: boolean): Buffer {
  const { BatchAppendReq } = streamsMessages
  const event = new BatchAppendReq.ProposedMessage().setId(uuid()).setData(data)
  event.getMetadataMap().set('type', 'Something').set('content-type', 'application/octet-stream')
  const options = new BatchAppendReq.Options()
    .setStreamIdentifier(new sharedMessages.StreamIdentifier().setStreamName(Buffer.from(streamName)))
    .setAny(new emptyMessages.Empty())
  return framed(
    new BatchAppendReq()
      .setCorrelationId(uuid())
      .setOptions(options)
      .setProposedMessagesList([event])
      .setIsFinal(isFinal),
  )
}

function uuid() {
  return new sharedMessages.UUID().setString(crypto.randomUUID())
}

async function countMessages(stream: ClientHttp2Stream): Promise<number> {
  let rest = Buffer.alloc(0)
  let count = 0
  for await (const chunk of stream) {
    rest = Buffer.concat([rest, chunk])
    for (let length = nextLength(rest); length <= rest.length; length = nextLength(rest)) {
      rest = rest.subarray(length)
      count += 1
    }
  }
  return count
}

function nextLength(bytes: Buffer): number {
  return bytes.length < 5 ? Number.POSITIVE_INFINITY : 5 + bytes.readUInt32BE(1)
}
