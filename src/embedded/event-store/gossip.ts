import { randomUUID } from 'node:crypto'
import gossipMessages from '@eventstore/db-client/generated/gossip_pb.js'
import sharedMessages from '@eventstore/db-client/generated/shared_pb.js'
import { type handleUnaryCall, status } from '@grpc/grpc-js'
import { failure } from './refusals.ts'

/**
 * Answers Gossip/Read: a cluster of this one node, which leads it. The node is where the asker has reached it, as the
 * call's authority says: the address that is listened on may be a wildcard, or behind a port mapping.
 */
export function answerGossip(): handleUnaryCall<unknown, unknown> {
  const instanceId = new sharedMessages.UUID().setString(randomUUID())
  return (call, respond) => {
    const { ClusterInfo, EndPoint, MemberInfo } = gossipMessages
    const endpoint = parseAuthority(call.getHost())
    if (endpoint === undefined) {
      respond(failure(status.INVALID_ARGUMENT, "the call's authority is no host and port"))
      return
    }
    const member = new MemberInfo()
      .setInstanceId(instanceId)
      .setTimeStamp(`${Date.now()}0000`)
      .setState(MemberInfo.VNodeState.LEADER)
      .setIsAlive(true)
      .setHttpEndPoint(new EndPoint().setAddress(endpoint.hostname).setPort(endpoint.port))
    respond(null, new ClusterInfo().setMembersList([member]))
  }
}

/** EventStoreDB's, which clients leave out. */
const DEFAULT_PORT = 2113

function parseAuthority(authority: string): { hostname: string; port: number } | undefined {
  const url = `esdb://${authority}`
  if (!URL.canParse(url)) return undefined
  const { hostname, port } = new URL(url)
  return { hostname: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? DEFAULT_PORT : Number(port) }
}
