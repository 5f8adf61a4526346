import { Writable } from 'node:stream'
import type { ServerWritableStream } from '@grpc/grpc-js'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createSender, type Send } from '../../../src/embedded/event-store/message-runs.ts'

/** What reaches the wire of a call, by grpc-js's way of writing: a header for the whole, a copy behind it, then a wait. */
let wire: Buffer[]
let writes: (() => void)[]
let over: AbortController
let send: Send
let flush: () => void
beforeEach(() => {
  wire = []
  writes = []
  over = new AbortController()
  const call = new Writable({
    objectMode: true,
    write(message: Buffer, _, done) {
      const output = Buffer.alloc(5 + message.byteLength)
      output.writeUInt32BE(message.byteLength, 1)
      message.copy(output, 5)
      wire.push(output)
      writes.push(done)
    },
  })
  ;({ send, flush } = createSender(call as unknown as ServerWritableStream<unknown, Buffer>, over.signal))
})
afterEach(() => over.abort())

function finishWrites(): void {
  for (let done = writes.shift(); done !== undefined; done = writes.shift()) done()
}

function messagesOnTheWire(): string[] {
  const bytes = Buffer.concat(wire)
  const messages: string[] = []
  for (let at = 0; at < bytes.length; ) {
    expect(bytes[at]).toBe(0)
    const end = at + 5 + bytes.readUInt32BE(at + 1)
    messages.push(bytes.toString('latin1', at + 5, end))
    at = end
  }
  return messages
}

test('what is sent in one turn leaves in one write, each message whole', async () => {
  const sent = ['first', '', 'third', 'x'.repeat(5000)]
  for (const message of sent) expect(send(Buffer.from(message))).toBeUndefined()
  await Promise.resolve()
  expect(wire).toHaveLength(1)
  expect(messagesOnTheWire()).toEqual(sent)
  send(Buffer.from('later'))
  flush()
  finishWrites()
  expect(messagesOnTheWire()).toEqual([...sent, 'later'])
})

test('a message longer than a run leaves at once', () => {
  const long = 'x'.repeat(1_000_000)
  expect(send(Buffer.from(long))).toBeInstanceOf(Promise)
  expect(messagesOnTheWire()).toEqual([long])
})

test('a sender waits once a run is on its way, and goes on when it has left', async () => {
  const message = Buffer.alloc(1000)
  let room: Promise<void> | undefined
  let sent = 0
  while (room === undefined) {
    room = send(message)
    sent += 1
  }
  expect(sent).toBeLessThan(20)
  finishWrites()
  await room
  expect(send(message)).toBeUndefined()
})

test('who waits when the call is over is told, and nothing more is sent', async () => {
  const room = send(Buffer.alloc(1_000_000))
  over.abort(new Error('over'))
  await expect(room).rejects.toThrow('over')
  expect(() => send(Buffer.from('more'))).toThrow('over')
  flush()
  expect(wire).toHaveLength(1)
})
