import type { runEventStoreNode } from '../embedded/event-store/node.ts'
import { type Terminal, writeJson } from './terminal.ts'

export interface EventStoreOptions {
  readonly runNode: typeof runEventStoreNode
  readonly terminal: Terminal
  readonly json: boolean
  readonly signal: AbortSignal
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly data: string
}

/** Runs the event store node by itself until the signal aborts, and says where it listens once it does. */
export async function eventStore(options: EventStoreOptions): Promise<void> {
  const { runNode, terminal, json, signal, host, port, data } = options
  await runNode({ dataDir: data, host, port }, signal, ({ url, port: taken }) => {
    if (json) writeJson(terminal, { type: 'listening', url, port: taken, data })
    else
      terminal.out.write(`The event store serves on ${url} and keeps its log in ${data}. Ctrl-C stops it.\n`)
  })
}
