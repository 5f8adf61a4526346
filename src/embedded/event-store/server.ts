import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import gossipMessages from '@eventstore/db-client/generated/gossip_pb.js'
import sharedMessages from '@eventstore/db-client/generated/shared_pb.js'
import { type handleUnaryCall, Server, ServerCredentials } from '@grpc/grpc-js'
import { answerAppend, answerBatchAppend } from './append-calls.ts'
import { answerDelete, answerTombstone } from './delete-calls.ts'
import type { EventLog } from './event-log.ts'
import { gossipService, serverFeaturesService, streamsService } from './protocol.ts'
import { answerRead } from './read-calls.ts'
import { answerFeatures } from './server-features.ts'
import { refuseServicesNotOffered } from './services-not-offered.ts'

/** As the real server: 16 MiB less what the frames around an event may take. */
const MAX_RECEIVED_BYTES = 16 * 1024 * 1024 - 10_000

/** As the real server: no bound. Node's own would be 100 calls, subscriptions among them. */
const MAX_CALLS_PER_CONNECTION = 2 ** 31 - 1

/** How long calls may take to end by themselves when the node stops. */
const STOP_GRACE_MS = 2000

/** A listening server. */
export interface EventStoreServer {
  readonly port: number
  /** Ends subscriptions and batch streams with UNAVAILABLE, lets other calls finish, stops listening. */
  stop(): Promise<void>
}

/** Serves a log to EventStoreDB's clients; port 0 takes a free one. */
export async function serveEventLog(log: EventLog, host: string, port: number): Promise<EventStoreServer> {
  const stopping = new AbortController()
  setMaxListeners(0, stopping.signal)
  const server = new Server({
    'grpc.max_receive_message_length': MAX_RECEIVED_BYTES,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': MAX_CALLS_PER_CONNECTION,
  })
  const endpoint = { host, port }
  server.addService(streamsService, {
    read: (call: Parameters<typeof answerRead>[1]) => answerRead(log, call, stopping.signal),
    append: answerAppend.bind(undefined, log),
    batchAppend: (call: Parameters<typeof answerBatchAppend>[1]) =>
      answerBatchAppend(log, call, stopping.signal),
    delete: answerDelete.bind(undefined, log),
    tombstone: answerTombstone.bind(undefined, log),
  })
  server.addService(serverFeaturesService, { getSupportedMethods: answerFeatures })
  server.addService(gossipService, { read: answerGossip(endpoint) })
  refuseServicesNotOffered(server)
  endpoint.port = await bind(server, host, port)
  return {
    port: endpoint.port,
    async stop() {
      stopping.abort()
      const forced = setTimeout(() => server.forceShutdown(), STOP_GRACE_MS)
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()))
      clearTimeout(forced)
    },
  }
}

function bind(server: Server, host: string, port: number): Promise<number> {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, boundPort) => {
      if (error === null) resolve(boundPort)
      else reject(new Error(`the event store node cannot listen on ${address}: ${error.message}`))
    })
  })
}

/** Gossip/Read: a cluster of this one node, which leads it. */
function answerGossip(endpoint: { host: string; port: number }): handleUnaryCall<unknown, unknown> {
  const instanceId = new sharedMessages.UUID().setString(randomUUID())
  return (_call, respond) => {
    const { ClusterInfo, EndPoint, MemberInfo } = gossipMessages
    const member = new MemberInfo()
      .setInstanceId(instanceId)
      .setTimeStamp(`${Date.now()}0000`)
      .setState(MemberInfo.VNodeState.LEADER)
      .setIsAlive(true)
      .setHttpEndPoint(new EndPoint().setAddress(endpoint.host).setPort(endpoint.port))
    respond(null, new ClusterInfo().setMembersList([member]))
  }
}
