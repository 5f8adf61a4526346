import { setMaxListeners } from 'node:events'
import { type Metadata, Server, type ServerCredentials, type StatusObject } from '@grpc/grpc-js'
import { answerAppend, answerBatchAppend } from './append-calls.ts'
import type { CheckLogin } from './credentials.ts'
import { answerDelete, answerTombstone } from './delete-calls.ts'
import type { EventLog } from './event-log.ts'
import { answerGossip } from './gossip.ts'
import { gossipService, serverFeaturesService, streamsService } from './protocol.ts'
import { answerRead } from './read-calls.ts'
import { answerFeatures } from './server-features.ts'
import { refuseServicesNotOffered } from './services-not-offered.ts'

/** As the real server: 16 MiB less what the frames around an event may take. */
const MAX_RECEIVED_BYTES = 16 * 1024 * 1024 - 10_000

/** As the real server: no bound. Node's own would be 100 calls, subscriptions among them. */
const MAX_CALLS_PER_CONNECTION = 2 ** 31 - 1

/** As the real server asks a silent client whether it is still there; it gets longer to answer, as it may be at work. */
const KEEP_ALIVE_INTERVAL_MS = 10_000
const KEEP_ALIVE_TIMEOUT_MS = 30_000

/** How much of an append may be on its way before its sender waits for the node. */
const RECEIVE_WINDOW_BYTES = 1024 * 1024

/** How long calls may take to end by themselves when the node stops. */
const STOP_GRACE_MS = 2000

/** A listening server. */
export interface EventStoreServer {
  readonly port: number
  /** Ends subscriptions and batch streams with UNAVAILABLE, lets other calls finish, stops listening. */
  stop(): Promise<void>
}

export interface ServerOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly credentials: ServerCredentials
  readonly checkLogin: CheckLogin
}

/**
 * Serves a log to EventStoreDB's clients.
 *
 * @throws Error, with a sentence, when it cannot listen.
 */
export async function serveEventLog(log: EventLog, options: ServerOptions): Promise<EventStoreServer> {
  const guard = createGuard(options.checkLogin)
  const stopping = new AbortController()
  setMaxListeners(0, stopping.signal)
  const server = new Server({
    'grpc.max_receive_message_length': MAX_RECEIVED_BYTES,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': MAX_CALLS_PER_CONNECTION,
    'grpc.keepalive_time_ms': KEEP_ALIVE_INTERVAL_MS,
    'grpc.keepalive_timeout_ms': KEEP_ALIVE_TIMEOUT_MS,
    'grpc-node.flow_control_window': RECEIVE_WINDOW_BYTES,
  })
  server.addService(streamsService, {
    read: guard.streams((call: Parameters<typeof answerRead>[1]) => answerRead(log, call, stopping.signal)),
    append: guard.answers(answerAppend.bind(undefined, log)),
    batchAppend: guard.streams((call: Parameters<typeof answerBatchAppend>[1]) =>
      answerBatchAppend(log, call, stopping.signal),
    ),
    delete: guard.answers(answerDelete.bind(undefined, log)),
    tombstone: guard.answers(answerTombstone.bind(undefined, log)),
  })
  // Open to everybody, as on the real server: a client asks these before it logs in.
  server.addService(serverFeaturesService, { getSupportedMethods: answerFeatures })
  server.addService(gossipService, { read: answerGossip() })
  refuseServicesNotOffered(server)
  const port = await bind(server, options)
  return {
    port,
    async stop() {
      stopping.abort()
      const forced = setTimeout(() => server.forceShutdown(), STOP_GRACE_MS)
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()))
      clearTimeout(forced)
    },
  }
}

type Call = NodeJS.EventEmitter & { readonly metadata: Metadata }

/** Puts the login before a call. */
function createGuard(checkLogin: CheckLogin) {
  return {
    streams:
      <Streaming extends Call>(answer: (call: Streaming) => unknown) =>
      (call: Streaming) => {
        const refusal = checkLogin(call.metadata)
        if (refusal === undefined) answer(call)
        else call.emit('error', refusal)
      },
    answers:
      <Answered extends Call, Respond extends (error: StatusObject) => void>(
        answer: (call: Answered, respond: Respond) => unknown,
      ) =>
      (call: Answered, respond: Respond) => {
        const refusal = checkLogin(call.metadata)
        if (refusal === undefined) answer(call, respond)
        else respond(refusal)
      },
  }
}

function bind(server: Server, { host, port, credentials }: ServerOptions): Promise<number> {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, boundPort) => {
      if (error === null) resolve(boundPort)
      else reject(new Error(`the event store node cannot listen on ${address}: ${error.message}`))
    })
  })
}
