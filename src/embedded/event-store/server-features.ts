import featuresMessages from '@eventstore/db-client/generated/serverfeatures_pb.js'
import type { handleUnaryCall, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js'
import { servicesNotOffered, streamsService } from './protocol.ts'

/** What of EventStoreDB's behaviour this node keeps to. */
const SERVER_VERSION = '24.10.0'

const features: Readonly<Record<string, readonly string[]>> = {
  '/event_store.client.streams.streams/read': ['position', 'events'],
  '/event_store.client.streams.streams/batchappend': ['deadline_duration'],
  '/event_store.client.projections.projections/create': ['track_emitted_streams'],
}

/**
 * ServerFeatures/GetSupportedMethods. Like the real server it lists every method that it answers, those of services that
 * are not offered included: the official client then asks and gets the sentence that says so, where otherwise it would
 * tell its user to update EventStoreDB, or turn to an HTTP interface. The names are lower-case on the real wire too.
 */
export const answerFeatures: handleUnaryCall<unknown, unknown> = (_call, respond) => {
  const { SupportedMethods } = featuresMessages
  const methods = [streamsService, ...servicesNotOffered].flatMap(describe)
  respond(null, new SupportedMethods().setMethodsList(methods).setEventStoreServerVersion(SERVER_VERSION))
}

function describe(service: ServiceDefinition<UntypedServiceImplementation>) {
  return Object.values(service).map((method) => {
    const path = method.path.toLowerCase()
    const [, serviceName = '', methodName = ''] = path.split('/')
    return new featuresMessages.SupportedMethod()
      .setServiceName(serviceName)
      .setMethodName(methodName)
      .setFeaturesList([...(features[path] ?? featuresOf(serviceName))])
  })
}

function featuresOf(serviceName: string): readonly string[] {
  return serviceName.endsWith('.persistentsubscriptions') ? ['stream', 'all'] : []
}
