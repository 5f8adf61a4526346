/** deleteStream and tombstoneStream of the official client, on whichever event store there is. */
import {
  type ExpectedRevision,
  NO_STREAM,
  StreamDeletedError,
  StreamNotFoundError,
  WrongExpectedVersionError,
} from '@eventstore/db-client'
import { describe, expect, test } from 'vitest'
import { isMissing } from '../../support/services.ts'
import { useClient } from './client-under-test.ts'
import { collect, newStream, someEvents } from './node-under-test.ts'

const store = useClient()

async function streamOf(count: number): Promise<string> {
  const stream = newStream('client-delete')
  await store.client.appendToStream(stream, someEvents(count))
  return stream
}

async function revisions(stream: string): Promise<number[]> {
  return (await collect(store.client.readStream(stream))).map(({ event }) => Number(event?.revision))
}

describe.skipIf(isMissing('event store'))('either deletion', () => {
  test.each(['deleteStream', 'tombstoneStream'] as const)('%s answers with a position', async (call) => {
    const { position } = await store.client[call](await streamOf(2), { expectedRevision: 1n })
    expect(position?.commit).toBeGreaterThan(0n)
  })

  test.each([
    ['deleteStream', 2n, 2n],
    ['deleteStream', NO_STREAM, -1n],
    ['tombstoneStream', 2n, 2n],
    ['tombstoneStream', NO_STREAM, -1n],
  ] as const)(
    '%s expecting %s raises WrongExpectedVersionError',
    async (call, expected: ExpectedRevision, told) => {
      const stream = await streamOf(2)
      const error = await store.client[call](stream, { expectedRevision: expected }).catch((reason) => reason)
      expect(error).toBeInstanceOf(WrongExpectedVersionError)
      expect(error).toMatchObject({ streamName: stream, expectedVersion: told, actualVersion: 1n })
    },
  )

  test.each(['deleteStream', 'tombstoneStream'] as const)(
    '%s of a tombstoned stream raises StreamDeletedError',
    async (call) => {
      const stream = await streamOf(1)
      await store.client.tombstoneStream(stream)
      const error = await store.client[call](stream).catch((reason) => reason)
      expect(error).toBeInstanceOf(StreamDeletedError)
      expect(error).toMatchObject({ streamName: stream })
    },
  )
})

describe.skipIf(isMissing('event store'))('deleteStream', () => {
  test('hides the stream until it is written to again, its revisions going on', async () => {
    const stream = await streamOf(3)
    await store.client.setStreamMetadata(stream, { colour: 'red' })
    await store.client.deleteStream(stream)
    await expect(revisions(stream)).rejects.toThrow(StreamNotFoundError)
    expect(await store.client.appendToStream(stream, someEvents(2))).toMatchObject({
      nextExpectedRevision: 4n,
    })
    expect(await revisions(stream)).toEqual([3, 4])
    const { metadata } = await store.client.getStreamMetadata(stream)
    expect(metadata).toEqual({ truncateBefore: 3 })
  })

  test.each([NO_STREAM, 2n] as const)(
    'leaves a stream that is written to again expecting %s',
    async (expected) => {
      const stream = await streamOf(3)
      await store.client.deleteStream(stream)
      await store.client.appendToStream(stream, someEvents(1), { expectedRevision: expected })
      expect(await revisions(stream)).toEqual([3])
    },
  )

  test('may be done twice', async () => {
    const stream = await streamOf(1)
    await store.client.deleteStream(stream)
    await store.client.deleteStream(stream)
    await expect(revisions(stream)).rejects.toThrow(StreamNotFoundError)
  })

  test('of a stream that never was raises WrongExpectedVersionError, unless it has metadata', async () => {
    await expect(store.client.deleteStream(newStream())).rejects.toMatchObject({
      actualVersion: expect.anything(),
    })
    const implicit = newStream('client-delete')
    await store.client.setStreamMetadata(implicit, { cacheControl: 10 })
    expect(await store.client.deleteStream(implicit, { expectedRevision: NO_STREAM })).toBeDefined()
  })

  test('is undone by an append of no events, too', async () => {
    const stream = await streamOf(2)
    await store.client.deleteStream(stream)
    await store.client.appendToStream(stream, [])
    expect(await revisions(stream)).toEqual([])
  })
})

describe.skipIf(isMissing('event store'))('tombstoneStream', () => {
  test('ends a stream for reads, writes and subscriptions, for good', async () => {
    const stream = await streamOf(2)
    await store.client.tombstoneStream(stream)
    await expect(revisions(stream)).rejects.toThrow(StreamDeletedError)
    await expect(store.client.appendToStream(stream, someEvents(1))).rejects.toThrow(StreamDeletedError)
    await expect(collect(store.client.subscribeToStream(stream))).rejects.toThrow(StreamDeletedError)
  })

  test('works on a stream that never was', async () => {
    const stream = newStream('client-delete')
    await store.client.tombstoneStream(stream, { expectedRevision: NO_STREAM })
    await expect(revisions(stream)).rejects.toThrow(StreamDeletedError)
  })

  test('works on a soft-deleted stream', async () => {
    const stream = await streamOf(1)
    await store.client.deleteStream(stream)
    await store.client.tombstoneStream(stream)
    await expect(revisions(stream)).rejects.toThrow(StreamDeletedError)
  })
})
