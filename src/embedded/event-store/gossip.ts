import { randomUUID } from 'node:crypto'
import gossipMessages from '@eventstore/db-client/generated/gossip_pb.js'
import sharedMessages from '@eventstore/db-client/generated/shared_pb.js'
import type { handleUnaryCall } from '@grpc/grpc-js'

/**
 * Answers Gossip/Read: a cluster of this one node, which leads it. The node is where the asker has reached it, as the
 * call's authority says: the address that is listened on may be a wildcard, or behind a port mapping.
 */
export function answerGossip(): handleUnaryCall<unknown, unknown> {
  const instanceId = new sharedMessages.UUID().setString(randomUUID())
  return (call, respond) => {
    const { ClusterInfo, EndPoint, MemberInfo } = gossipMessages
    const { hostname, port } = parseAuthority(call.getHost())
    const member = new MemberInfo()
      .setInstanceId(instanceId)
      .setTimeStamp(`${Date.now()}0000`)
      .setState(MemberInfo.VNodeState.LEADER)
      .setIsAlive(true)
      .setHttpEndPoint(new EndPoint().setAddress(hostname).setPort(port))
    respond(null, new ClusterInfo().setMembersList([member]))
  }
}

function parseAuthority(authority: string): { hostname: string; port: number } {
  const { hostname, port } = new URL(`esdb://${authority}`)
  return { hostname: hostname.replace(/^\[|\]$/g, ''), port: Number(port) }
}
