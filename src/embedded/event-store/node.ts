import { extname } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { ServerCredentials } from '@grpc/grpc-js'
import { createLoginCheck } from './credentials.ts'
import { logFile, openDatabase, openingError } from './database.ts'
import { createEventLog, type EventLog } from './event-log.ts'
import { serveEventLog } from './server.ts'
import { loadServerCredentials, type TlsFiles } from './tls.ts'

/** How to run a node. */
export interface EventStoreNodeOptions {
  /** Where the log is kept, made if missing; undefined keeps it in memory, for tests. */
  readonly dataDir: string | undefined
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Default 0, which takes a free one. */
  readonly port?: number
  /** Serves over TLS with these; default is without. */
  readonly tls?: TlsFiles
  /**
   * The password of the user `admin`, asked of every call on streams. Needs TLS, as clients send no login without it.
   * Default is to take any login, and none.
   */
  readonly password?: string
}

/** A node that listens. `url` is a connection string for `@eventstore/db-client`. */
export interface EventStoreNode {
  readonly url: string
  readonly port: number
  /**
   * Stops in order: subscriptions end with UNAVAILABLE, writes under way are finished, the log is folded into one
   * file and closed.
   */
  close(): Promise<void>
}

/** A node in a thread of its own. */
export interface EventStoreNodeThread extends EventStoreNode {
  /** Resolves with the reason when the node dies without having been closed; otherwise never. */
  readonly died: Promise<Error>
}

/**
 * Starts a node in a worker thread, so that neither its server nor its fsyncs hold up the caller's event loop.
 *
 * @throws Error, with a message for a person, when the log is in use or unreadable, or the port is taken.
 */
export async function startEventStoreNode(options: EventStoreNodeOptions): Promise<EventStoreNodeThread> {
  // The worker's file has the extension of this one: .ts from the sources, .js once compiled.
  const file = new URL(`./node-thread${extname(import.meta.url)}`, import.meta.url)
  const worker = new Worker(file, { workerData: options, name: 'event-store' })
  let closing = false
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  const died = new Promise<Error>((resolve) => {
    worker.once('error', (error) => resolve(error instanceof Error ? error : new Error(String(error))))
    worker.once('exit', (code) => {
      if (!closing) resolve(new Error(`the event store node stopped unexpectedly (exit code ${code})`))
    })
  })
  const listening = new Promise<{ url: string; port: number }>((resolve) => worker.once('message', resolve))
  const started = await Promise.race([listening, died])
  if (started instanceof Error) throw started
  return {
    ...started,
    died,
    async close() {
      closing = true
      worker.postMessage('close')
      await exited
    },
  }
}

/**
 * Runs a node in this thread until the signal aborts, then stops it in order.
 *
 * @throws Error as startEventStoreNode.
 */
export async function runEventStoreNode(
  options: EventStoreNodeOptions,
  signal: AbortSignal,
  onListening: (node: Pick<EventStoreNode, 'url' | 'port'>) => void,
): Promise<void> {
  const node = await openEventStoreNode(options)
  onListening({ url: node.url, port: node.port })
  if (!signal.aborted) {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  }
  await node.close()
}

/** Opens a node in this thread; it serves until closed. */
export async function openEventStoreNode(options: EventStoreNodeOptions): Promise<EventStoreNode> {
  const { dataDir, host = '127.0.0.1', port = 0, tls, password } = options
  if (password !== undefined && tls === undefined) {
    throw new Error('a password needs a TLS certificate: clients send no login over a connection without TLS')
  }
  const credentials = tls === undefined ? ServerCredentials.createInsecure() : loadServerCredentials(tls)
  const log = openLog(dataDir)
  try {
    const server = await serveEventLog(log, {
      host,
      port,
      credentials,
      checkLogin: createLoginCheck(password),
    })
    const address = host.includes(':') ? `[${host}]` : host
    return {
      url: `esdb://${address}:${server.port}?tls=${tls !== undefined}`,
      port: server.port,
      async close() {
        log.finishWrites()
        // A turn for the answers, before their calls are ended.
        await setImmediate()
        await server.stop()
        log.close()
      },
    }
  } catch (error) {
    log.close()
    throw error
  }
}

function openLog(dataDir: string | undefined): EventLog {
  const database = openDatabase(dataDir)
  try {
    return createEventLog(database)
  } catch (error) {
    database.close()
    throw openingError(error, logFile(dataDir ?? ''))
  }
}
