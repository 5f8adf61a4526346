import gossipServices from '@eventstore/db-client/generated/gossip_grpc_pb.js'
import operationsServices from '@eventstore/db-client/generated/operations_grpc_pb.js'
import persistentServices from '@eventstore/db-client/generated/persistent_grpc_pb.js'
import projectionsServices from '@eventstore/db-client/generated/projections_grpc_pb.js'
import featuresServices from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js'
import streamsServices from '@eventstore/db-client/generated/streams_grpc_pb.js'
import usersServices from '@eventstore/db-client/generated/users_grpc_pb.js'
import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js'
import { decodeAppendRequest, decodeBatchAppendRequest } from './append-messages.ts'

/*
 * The services as the official client's own package defines them. Messages that pass once per event are read by our own
 * decoders and are written as bytes; all others use the generated classes.
 */

const asBytes = (message: Buffer) => message

export const streamsService = {
  ...streamsServices.StreamsService,
  read: { ...streamsServices.StreamsService.read, responseSerialize: asBytes },
  append: {
    ...streamsServices.StreamsService.append,
    requestDeserialize: decodeAppendRequest,
    responseSerialize: asBytes,
  },
  batchAppend: {
    ...streamsServices.StreamsService.batchAppend,
    requestDeserialize: decodeBatchAppendRequest,
    responseSerialize: asBytes,
  },
}

export const { GossipService: gossipService } = gossipServices
export const { ServerFeaturesService: serverFeaturesService } = featuresServices

/** Known to the client, offered by EventStoreDB, not by this node. */
export const servicesNotOffered: readonly ServiceDefinition<UntypedServiceImplementation>[] = [
  persistentServices.PersistentSubscriptionsService,
  projectionsServices.ProjectionsService,
  usersServices.UsersService,
  operationsServices.OperationsService,
]
