/**
 * A load generator that costs little: keep-alive sockets, one request under way on each, requests written as prepared bytes,
 * answers read by their Content-Length. On two cores a generator with a full HTTP client measures itself.
 */
import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'

export interface LoadResult {
  readonly requests: number
  readonly perSecond: number
  readonly failures: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface Load {
  readonly port: number
  readonly connections: number
  readonly durationMs: number
  /** The bytes of the next request, head and body. */
  readonly next: () => string
  /** Where the requests come from. Default: as the system chooses. */
  readonly localAddress?: string
}

export async function runLoad({
  port,
  connections,
  durationMs,
  next,
  localAddress,
}: Load): Promise<LoadResult> {
  const latenciesMs: number[] = []
  let failures = 0
  const startMs = performance.now()
  const endMs = startMs + durationMs
  await Promise.all(Array.from({ length: connections }, () => client()))
  const seconds = (performance.now() - startMs) / 1_000
  latenciesMs.sort((a, b) => a - b)
  const at = (share: number) => latenciesMs[Math.floor(latenciesMs.length * share)] ?? Number.NaN
  return {
    requests: latenciesMs.length,
    perSecond: latenciesMs.length / seconds,
    failures,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  }

  function client(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', ...(localAddress && { localAddress }) })
      socket.setNoDelay(true)
      let received = ''
      let sentMs = 0
      const send = () => {
        sentMs = performance.now()
        if (sentMs >= endMs) {
          socket.end(resolve)
          return
        }
        socket.write(next())
      }
      socket.setEncoding('latin1')
      socket.once('connect', send)
      socket.once('error', reject)
      socket.on('data', (chunk: string) => {
        received = received === '' ? chunk : received + chunk
        const headEnd = received.indexOf('\r\n\r\n')
        if (headEnd < 0) return
        const length = contentLength(received, headEnd)
        if (received.length < headEnd + 4 + length) return
        if (received.charCodeAt(9) !== twoHundreds) failures += 1
        received = ''
        latenciesMs.push(performance.now() - sentMs)
        send()
      })
    })
  }
}

/** The digit 2, where a status line has the first digit of its status. */
const twoHundreds = 0x32

function contentLength(answer: string, headEnd: number): number {
  const found = /\r\ncontent-length: *(\d+)/i.exec(answer.slice(0, headEnd))
  return found ? Number(found[1]) : 0
}

/** An HTTP/1.1 request as it goes on the wire. */
export function request(method: string, path: string, headers: Record<string, string>, body = ''): string {
  const head = {
    host: '127.0.0.1',
    ...headers,
    ...(body && { 'content-length': String(Buffer.byteLength(body)) }),
  }
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`
}

/** An answer as it came, its head and its body as text. */
export interface Answer {
  readonly status: number
  readonly body: string
}

export interface Client {
  /** Sends the request on a connection that is free, or on a new one. */
  readonly ask: (request: string) => Promise<Answer>
  readonly close: () => void
}

/** As cheap as `runLoad`, for requests that are sent when their time has come, however many are under way. */
export function openClient(port: number): Client {
  const free: Connection[] = []
  const all: Connection[] = []
  return {
    async ask(request) {
      const connection = free.pop() ?? open()
      const answer = await connection.ask(request)
      free.push(connection)
      return answer
    },
    close: () => {
      for (const { socket } of all) socket.destroy()
    },
  }

  function open(): Connection {
    const socket = connect(port, '127.0.0.1').setNoDelay(true).setEncoding('latin1')
    let received = ''
    let asked = Promise.withResolvers<Answer>()
    socket.on('error', (error) => asked.reject(error))
    socket.on('data', (chunk) => {
      received += chunk
      const headEnd = received.indexOf('\r\n\r\n')
      if (headEnd < 0 || received.length < headEnd + 4 + contentLength(received, headEnd)) return
      const answer = { status: Number(received.slice(9, 12)), body: received.slice(headEnd + 4) }
      received = ''
      asked.resolve(answer)
    })
    const connection: Connection = {
      socket,
      ask: (request) => {
        asked = Promise.withResolvers()
        socket.write(request)
        return asked.promise
      },
    }
    all.push(connection)
    return connection
  }
}

interface Connection {
  readonly socket: Socket
  readonly ask: (request: string) => Promise<Answer>
}
