/** What the official client can ask for and the node does not offer: each call fails with a sentence that says so. */
import {
  EventStoreDBClient,
  persistentSubscriptionToAllSettingsFromDefaults,
  persistentSubscriptionToStreamSettingsFromDefaults,
} from '@eventstore/db-client'
import { describe, expect, test } from 'vitest'
import { isMissing } from '../../support/services.ts'
import { isOurNode, useClient } from './client-under-test.ts'
import { methodsUnder } from './documented-methods.ts'
import { collect } from './node-under-test.ts'

const store = useClient()
const toAll = persistentSubscriptionToAllSettingsFromDefaults()
const toStream = persistentSubscriptionToStreamSettingsFromDefaults()

const calls: Readonly<Record<string, (client: EventStoreDBClient) => Promise<unknown>>> = {
  createProjection: (client) => client.createProjection('p', 'fromAll()', { trackEmittedStreams: true }),
  updateProjection: (client) => client.updateProjection('p', 'fromAll()'),
  enableProjection: (client) => client.enableProjection('p'),
  disableProjection: (client) => client.disableProjection('p'),
  abortProjection: (client) => client.abortProjection('p'),
  resetProjection: (client) => client.resetProjection('p'),
  deleteProjection: (client) => client.deleteProjection('p'),
  getProjectionState: (client) => client.getProjectionState('p'),
  getProjectionResult: (client) => client.getProjectionResult('p'),
  getProjectionStatus: (client) => client.getProjectionStatus('p'),
  listProjections: (client) => client.listProjections(),
  restartSubsystem: (client) => client.restartSubsystem(),
  createPersistentSubscriptionToStream: (client) =>
    client.createPersistentSubscriptionToStream('s', 'g', toStream),
  createPersistentSubscriptionToAll: (client) => client.createPersistentSubscriptionToAll('g', toAll),
  updatePersistentSubscriptionToStream: (client) =>
    client.updatePersistentSubscriptionToStream('s', 'g', toStream),
  updatePersistentSubscriptionToAll: (client) => client.updatePersistentSubscriptionToAll('g', toAll),
  deletePersistentSubscriptionToStream: (client) => client.deletePersistentSubscriptionToStream('s', 'g'),
  deletePersistentSubscriptionToAll: (client) => client.deletePersistentSubscriptionToAll('g'),
  subscribeToPersistentSubscriptionToStream: (client) =>
    Array.fromAsync(client.subscribeToPersistentSubscriptionToStream('s', 'g')),
  subscribeToPersistentSubscriptionToAll: (client) =>
    Array.fromAsync(client.subscribeToPersistentSubscriptionToAll('g')),
  getPersistentSubscriptionToStreamInfo: (client) => client.getPersistentSubscriptionToStreamInfo('s', 'g'),
  getPersistentSubscriptionToAllInfo: (client) => client.getPersistentSubscriptionToAllInfo('g'),
  listAllPersistentSubscriptions: (client) => client.listAllPersistentSubscriptions(),
  listPersistentSubscriptionsToStream: (client) => client.listPersistentSubscriptionsToStream('s'),
  listPersistentSubscriptionsToAll: (client) => client.listPersistentSubscriptionsToAll(),
  replayParkedMessagesToStream: (client) => client.replayParkedMessagesToStream('s', 'g'),
  replayParkedMessagesToAll: (client) => client.replayParkedMessagesToAll('g'),
  restartPersistentSubscriptionSubsystem: (client) => client.restartPersistentSubscriptionSubsystem(),
}

test('the page lists every method of the client, as offered or as not', () => {
  const methods = Object.getOwnPropertyNames(EventStoreDBClient.prototype)
  const documented = [
    ...methodsUnder('Calls that are offered'),
    ...methodsUnder('Calls that are not offered'),
  ]
  expect(documented.toSorted()).toEqual(methods.filter((name) => !internal.includes(name)).toSorted())
  expect(methodsUnder('Calls that are not offered').toSorted()).toEqual(Object.keys(calls).toSorted())
})

/** Of the client's class, and no calls to a server. */
const internal = [
  'constructor',
  'connectionName',
  'HTTPRequest',
  'createDeadline',
  'capabilities',
  'throwOnAppendFailure',
]

describe.skipIf(isMissing('event store') || !isOurNode())('the node', () => {
  test.each(Object.keys(calls))('refuses %s with a sentence', async (name) => {
    await expect(calls[name]?.(store.client)).rejects.toMatchObject({
      code: 12,
      message: expect.stringMatching(
        /offers streams, gossip and server features; use EventStoreDB for the rest/,
      ),
    })
  })

  test('serves streams on the same connection afterwards', async () => {
    expect(await collect(store.client.readAll({ maxCount: 1, fromPosition: 'end' }))).toEqual([])
  })
})
