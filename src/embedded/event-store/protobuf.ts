/**
 * The protobuf wire format (https://protobuf.dev/programming-guides/encoding), as far as the messages need it that
 * pass once per event. Fields are written last to first: when a length is due, what it measures is already there.
 */
export interface ProtobufWriter {
  bytes(field: number, value: Uint8Array): void
  text(field: number, value: string): void
  /** An integer from 0 to 2^53 − 1. */
  integer(field: number, value: number): void
  uint64(field: number, value: bigint): void
  /** A message whose fields `body` writes, last to first. */
  message(field: number, body: () => void): void
  empty(field: number): void
}

const VARINT = 0
const LENGTH_DELIMITED = 2

let scratch = Buffer.allocUnsafeSlow(64 * 1024)
let start = scratch.length

/** Encodes one message; `body` writes its fields last to first. Must not be nested. */
export function encode(body: (writer: ProtobufWriter) => void): Buffer {
  start = scratch.length
  body(writer)
  return Buffer.from(scratch.subarray(start))
}

const writer: ProtobufWriter = {
  bytes(field, value) {
    reserve(value.length)
    scratch.set(value, start)
    prefix(field, value.length)
  },
  text(field, value) {
    const length = Buffer.byteLength(value)
    reserve(length)
    scratch.write(value, start)
    prefix(field, length)
  },
  integer(field, value) {
    varint(value)
    varint(field * 8 + VARINT)
  },
  uint64(field, value) {
    const bytes: number[] = []
    let rest = value
    for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
    bytes.push(Number(rest))
    reserve(bytes.length)
    scratch.set(bytes, start)
    varint(field * 8 + VARINT)
  },
  message(field, body) {
    const end = scratch.length - start
    body()
    prefix(field, scratch.length - start - end)
  },
  empty(field) {
    prefix(field, 0)
  },
}

/** Makes room for `length` more bytes and moves `start` before them. */
function reserve(length: number): void {
  if (start < length) {
    const written = scratch.length - start
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * scratch.length, written + length))
    scratch.copy(grown, grown.length - written, start)
    scratch = grown
    start = grown.length - written
  }
  start -= length
}

function prefix(field: number, length: number): void {
  varint(length)
  varint(field * 8 + LENGTH_DELIMITED)
}

function varint(value: number): void {
  if (value < 0x80) {
    reserve(1)
    scratch[start] = value
    return
  }
  let size = 1
  for (let rest = Math.floor(value / 0x80); rest > 0; rest = Math.floor(rest / 0x80)) size += 1
  reserve(size)
  let rest = value
  for (let at = start; at < start + size - 1; at += 1) {
    scratch[at] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  scratch[start + size - 1] = rest
}

/** Raised on bytes that are no protobuf message. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError'
}

/** Reads the fields of a message in the order they come in. */
export function decode(message: Buffer, onField: (field: number, value: number | Buffer) => void): void {
  let at = 0

  function readVarint(): number {
    let value = 0
    for (let scale = 1, shift = 0; shift < 70; shift += 7, scale *= 0x80) {
      const byte = message[at]
      if (byte === undefined) throw new ProtobufError('the message ends inside a number')
      at += 1
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
    throw new ProtobufError('a number is longer than ten bytes')
  }

  function skip(length: number): Buffer {
    const from = at
    at += length
    if (at > message.length) throw new ProtobufError('the message ends inside a field')
    return message.subarray(from, at)
  }

  while (at < message.length) {
    const tag = readVarint()
    const field = Math.floor(tag / 8)
    switch (tag % 8) {
      case VARINT:
        onField(field, readVarint())
        break
      case 1:
        skip(8)
        break
      case LENGTH_DELIMITED:
        onField(field, skip(readVarint()))
        break
      case 5:
        skip(4)
        break
      default:
        throw new ProtobufError(`wire type ${tag % 8} is unknown`)
    }
  }
}
