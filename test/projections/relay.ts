import { once } from 'node:events'
import { connect as connectTo, createServer, type Socket } from 'node:net'

/** A way to a server that can go silent, as when a cable is pulled. */
export type Relay = AsyncDisposable & {
  /** The target's, with the relay's port. */
  readonly url: string
  /** From now on nothing passes; who connects is accepted, and hears nothing. */
  hold(): void
  /** Breaks every connection; new ones pass again. */
  breakOff(): void
}

export async function startRelay(targetUrl: string): Promise<Relay> {
  const target = new URL(targetUrl)
  const sockets = new Set<Socket>()
  let held = false
  const server = createServer((near) => {
    const far = connectTo(Number(target.port), target.hostname)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', (data) => {
        if (!held) to.write(data)
      })
      from.on('error', () => {})
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const url = new URL(target)
  url.hostname = '127.0.0.1'
  url.port = String(typeof address === 'object' && address ? address.port : 0)
  const breakOff = () => {
    held = false
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: url.href,
    hold: () => {
      held = true
    },
    breakOff,
    async [Symbol.asyncDispose]() {
      breakOff()
      server.close()
      await once(server, 'close')
    },
  }
}
