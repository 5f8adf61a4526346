import type { ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js'

/** Sends one message; resolves once the reader has room for more, and rejects when the call is over. */
export type Send = (message: Buffer) => Promise<void> | undefined

/** With the message that fills it about one frame of HTTP/2; longer runs were slower, and every stalled reader holds two. */
const RUN_BYTES = 12 * 1024

/** gRPC's frame header: a byte that says uncompressed, and the message's length in four. */
const HEADER_BYTES = 5

/**
 * Sends a call's messages in runs. grpc-js writes one message at a time and waits for each to leave, which costs more
 * than the message; so whatever is sent in one turn goes out as one write, and as several when it is long.
 */
export function createSender(
  call: ServerWritableStream<unknown, Buffer> | ServerDuplexStream<unknown, Buffer>,
  over: AbortSignal,
): { readonly send: Send; readonly flush: () => void } {
  let run: Buffer[] = []
  let runBytes = 0
  let bytesOnTheirWay = 0
  let room: PromiseWithResolvers<void> | undefined
  over.addEventListener('abort', () => room?.reject(over.reason), { once: true })

  function flush(): void {
    if (run.length === 0 || over.aborted) return
    const bytes = runBytes
    bytesOnTheirWay += bytes
    call.write(frameRun(run, bytes), () => {
      bytesOnTheirWay -= bytes
      if (bytesOnTheirWay >= RUN_BYTES) return
      room?.resolve()
      room = undefined
    })
    run = []
    runBytes = 0
  }

  return {
    flush,
    send(message) {
      over.throwIfAborted()
      if (run.length === 0) queueMicrotask(flush)
      run.push(message)
      runBytes += HEADER_BYTES + message.length
      if (runBytes >= RUN_BYTES) flush()
      if (bytesOnTheirWay < RUN_BYTES) return undefined
      room ??= createRoom()
      return room.promise
    },
  }
}

/** Nobody has to wait for it: a call's end, which rejects it, may come when its sender has turned to something else. */
function createRoom(): PromiseWithResolvers<void> {
  const room = Promise.withResolvers<void>()
  room.promise.catch(() => {})
  return room
}

/**
 * The messages as one for grpc-js, which copies it behind a header that it has written for the whole; the copy then
 * begins at that header and puts one before each message. Were that to change, no reader would get a second event.
 */
function frameRun(messages: readonly Buffer[], bytes: number): Buffer {
  const [only] = messages
  if (messages.length === 1 && only !== undefined) return only
  const length = bytes - HEADER_BYTES
  const run = length <= blank.length ? blank.subarray(0, length) : Buffer.allocUnsafe(length)
  run.copy = (target: Uint8Array, targetStart = 0) => {
    let at = targetStart - HEADER_BYTES
    for (const message of messages) {
      target[at] = 0
      target[at + 1] = message.length >>> 24
      target[at + 2] = message.length >>> 16
      target[at + 3] = message.length >>> 8
      target[at + 4] = message.length
      target.set(message, at + HEADER_BYTES)
      at += HEADER_BYTES + message.length
    }
    return length
  }
  return run
}

/** Gives a run its length; nothing of it is ever sent. */
const blank = Buffer.alloc(2 * RUN_BYTES)
