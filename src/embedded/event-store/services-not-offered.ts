import { type Server, status } from '@grpc/grpc-js'
import { servicesNotOffered } from './protocol.ts'
import { failure } from './refusals.ts'

const notOffered = failure(
  status.UNIMPLEMENTED,
  'this event store node offers streams, gossip and server features; use EventStoreDB for the rest',
)

/** Has every method of the services that this node does not offer answer UNIMPLEMENTED with a sentence. */
export function refuseServicesNotOffered(server: Server): void {
  for (const service of servicesNotOffered) {
    const methods = Object.keys(service).map((name) => [name, refuse])
    server.addService(service, Object.fromEntries(methods))
  }
}

/** Serves all four shapes of a call: each has an `emit`, and the two with one answer have a second parameter. */
function refuse(call: NodeJS.EventEmitter, respond?: (error: typeof notOffered) => void): void {
  if (respond === undefined) call.emit('error', notOffered)
  else respond(notOffered)
}
