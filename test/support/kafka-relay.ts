import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** `EndTxn`, by which a transaction is committed or aborted (Kafka's protocol guide, API keys). */
export const endTransaction = 26

/**
 * `lost`: the broker never sees it. `unanswered`: it does what it is asked, and its answer is lost. Either way the connection is.
 * `pretended`: the broker never sees it, and it is answered as done.
 */
export type Fate = 'relayed' | 'lost' | 'unanswered' | 'pretended'

export interface KafkaRelay extends AsyncDisposable {
  /** What happens to the next request of this kind, once. */
  readonly ordain: (apiKey: number, fate: Fate) => void
  /** Whether what was ordained has happened. */
  readonly happened: () => boolean
}

/** Stands on `port` before the broker on `brokerPort`, whose clients are told to come here. */
export async function startKafkaRelay(port: number, brokerPort: number): Promise<KafkaRelay> {
  const connections = new Set<Socket>()
  let ordained: { readonly apiKey: number; readonly fate: Fate } | undefined
  const fateOf = (apiKey: number): Fate => {
    if (ordained?.apiKey !== apiKey) return 'relayed'
    const { fate } = ordained
    ordained = undefined
    return fate
  }

  const server = createServer((client) => {
    const broker = connect(brokerPort, '127.0.0.1')
    const cut = () => {
      client.destroy()
      broker.destroy()
    }
    for (const socket of [client, broker]) {
      connections.add(socket)
      socket
        .on('error', () => {})
        .on('close', () => {
          connections.delete(socket)
          cut()
        })
    }
    let deaf = false
    broker.on('data', (answer) => {
      if (deaf) cut()
      else client.write(answer)
    })
    // A request is its length (4 bytes), then its API key (2 bytes) and the rest.
    let pending: Buffer = Buffer.alloc(0)
    client.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk])
      while (pending.length >= 6 && pending.length >= 4 + pending.readInt32BE(0)) {
        const request = pending.subarray(0, 4 + pending.readInt32BE(0))
        pending = pending.subarray(request.length)
        const fate = fateOf(request.readInt16BE(4))
        if (fate === 'lost') return cut()
        deaf ||= fate === 'unanswered'
        if (fate === 'pretended') client.write(doneOf(request))
        else broker.write(request)
      }
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    ordain: (apiKey, fate) => {
      ordained = { apiKey, fate }
    },
    happened: () => ordained === undefined,
    [Symbol.asyncDispose]: async () => {
      server.close()
      for (const socket of connections) socket.destroy()
    },
  }
}

/** EndTxn's response: the request's correlation id (4 bytes, after the API's key and version), no throttling (4), no error (2). */
function doneOf(request: Buffer): Buffer {
  const body = Buffer.concat([request.subarray(8, 12), Buffer.alloc(6)])
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length)
  return Buffer.concat([length, body])
}
