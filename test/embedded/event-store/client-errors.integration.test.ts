/** What the official client raises, case by case, is what docs/event-store-node.md says. */
import {
  binaryEvent,
  type EventStoreDBClient,
  jsonEvent,
  NO_STREAM,
  streamNameFilter,
} from '@eventstore/db-client'
import { describe, expect, test } from 'vitest'
import { isMissing } from '../../support/services.ts'
import { isOurNode, useClient } from './client-under-test.ts'
import { documentedRows } from './documented-methods.ts'
import { collect, newStream, someEvents } from './node-under-test.ts'

const store = useClient()

const cases: Readonly<Record<string, (client: EventStoreDBClient, stream: string) => Promise<unknown>>> = {
  'an append at a wrong expected revision': (client, stream) =>
    client.appendToStream(stream, someEvents(1), { expectedRevision: NO_STREAM }),
  'a delete at a wrong expected revision': (client, stream) =>
    client.deleteStream(stream, { expectedRevision: NO_STREAM }),
  'an append to a tombstoned stream': async (client, stream) => {
    await client.tombstoneStream(stream)
    await client.appendToStream(stream, someEvents(1))
  },
  'a read of a tombstoned stream': async (client, stream) => {
    await client.tombstoneStream(stream)
    await collect(client.readStream(stream))
  },
  'a subscription to a tombstoned stream': async (client, stream) => {
    await client.tombstoneStream(stream)
    await collect(client.subscribeToStream(stream))
  },
  'a read of a stream that is not there': (client) => collect(client.readStream(newStream())),
  'an append of more than 1 MiB': (client, stream) =>
    client.appendToStream(stream, binaryEvent({ type: 'Big', data: new Uint8Array(1024 * 1024) })),
  'a batch append that runs out of time': (client, stream) => {
    const large = Array.from({ length: 400 }, () =>
      jsonEvent({ type: 'L', data: { filler: 'x'.repeat(2000) } }),
    )
    return client.appendToStream(stream, large, { deadline: 1, batchAppendSize: 4000 })
  },
  'an expression that is refused': (client) =>
    collect(client.subscribeToAll({ filter: streamNameFilter({ regex: '(?<=a)b' }) })),
  'a call that is not offered': (client) => client.listProjections(),
}

/** Of what EventStoreDB does not refuse. */
const onlyOurs = ['an expression that is refused', 'a call that is not offered']

const rows = documentedRows('What the client raises').map((cells) =>
  cells.map((cell) => cell.replaceAll('`', '')),
)

test('every case of the page is tried here', () => {
  expect(rows.map(([name]) => name)).toEqual(Object.keys(cases))
})

describe.skipIf(isMissing('event store'))('the client raises', () => {
  test.each(rows)('for %s: %s %s', async (name = '', raised, code = '') => {
    if (!isOurNode() && onlyOurs.includes(name)) return
    const stream = newStream('client-errors')
    await store.client.appendToStream(stream, someEvents(1))
    const error = await cases[name]?.(store.client, stream).catch((reason: unknown) => reason)
    expect(Object(error).constructor.name).toBe(raised)
    if (code !== '') expect(error).toMatchObject({ code: Number(code) })
  })

  test.each([
    ['a delete', (stream: string) => store.client.deleteStream(stream)],
    ['a read', (stream: string) => collect(store.client.readStream(stream))],
  ])('the same for %s of a stream whose name is not ASCII', async (_, call) => {
    if (!isOurNode()) return
    const stream = newStream('ключ')
    await store.client.tombstoneStream(stream)
    await expect(call(stream)).rejects.toMatchObject({
      type: 'stream-deleted',
      streamName: encodeURIComponent(stream),
    })
  })
})
