import {
  jsonEvent,
  NO_STREAM,
  STREAM_EXISTS,
  StreamDeletedError,
  StreamNotFoundError,
  WrongExpectedVersionError,
} from '@eventstore/db-client'
import { describe, expect, test } from 'vitest'
import { collect, newStream, someEvents, useNode } from './node-under-test.ts'

const node = useNode()

async function streamOf(count: number): Promise<string> {
  const stream = newStream()
  await node.client.appendToStream(stream, someEvents(count))
  return stream
}

async function revisions(stream: string): Promise<number[]> {
  return (await collect(node.client.readStream(stream))).map(({ event }) => Number(event?.revision))
}

describe('a deleted stream', () => {
  test('is not found, and its revisions go on when it is written to again', async () => {
    const stream = await streamOf(3)
    const { position } = await node.client.deleteStream(stream)
    expect(position?.commit).toBeGreaterThan(0n)
    await expect(revisions(stream)).rejects.toThrow(StreamNotFoundError)
    expect(await node.client.appendToStream(stream, someEvents(2))).toMatchObject({
      nextExpectedRevision: 4n,
    })
    expect(await revisions(stream)).toEqual([3, 4])
  })

  test.each([NO_STREAM, 2n] as const)('is written to again expecting %s', async (expectedRevision) => {
    const stream = await streamOf(3)
    await node.client.deleteStream(stream)
    await node.client.appendToStream(stream, someEvents(1), { expectedRevision })
    expect(await revisions(stream)).toEqual([3])
  })

  test('does not exist for one who expects it to', async () => {
    const stream = await streamOf(3)
    await node.client.deleteStream(stream)
    const append = node.client.appendToStream(stream, someEvents(1), { expectedRevision: STREAM_EXISTS })
    await expect(append).rejects.toThrow(StreamDeletedError)
  })

  test('deleted and written to again at once is there', async () => {
    const stream = await streamOf(1)
    await node.client.setStreamMetadata(stream, { owner: 'someone' })
    await Promise.all([node.client.deleteStream(stream), node.client.appendToStream(stream, someEvents(1))])
    await node.client.appendToStream(stream, someEvents(1))
    expect((await revisions(stream)).at(-1)).toBe(2)
  })

  test.each([
    ['deleteStream', 2n],
    ['deleteStream', NO_STREAM],
    ['tombstoneStream', 2n],
    ['tombstoneStream', NO_STREAM],
  ] as const)('%s expecting %s is refused when the stream is elsewhere', async (call, expectedRevision) => {
    const stream = await streamOf(2)
    const error = await node.client[call](stream, { expectedRevision }).catch((reason) => reason)
    expect(error).toBeInstanceOf(WrongExpectedVersionError)
    expect(error).toMatchObject({
      streamName: stream,
      expectedVersion: expectedRevision === NO_STREAM ? -1n : expectedRevision,
      actualVersion: 1n,
    })
    expect(await revisions(stream)).toEqual([0, 1])
  })

  test('a stream that never was cannot be deleted, unless it has metadata', async () => {
    const error = await node.client.deleteStream(newStream('нет')).catch((reason) => reason)
    expect(error).toBeInstanceOf(WrongExpectedVersionError)
    expect(error).toMatchObject({ actualVersion: 'no_stream' })
    const implicit = newStream()
    await node.client.setStreamMetadata(implicit, { cacheControl: 10 })
    expect(await node.client.deleteStream(implicit, { expectedRevision: NO_STREAM })).toBeDefined()
  })
})

describe('a tombstoned stream', () => {
  test('refuses reads, writes, deletes and subscriptions for good', async () => {
    const stream = await streamOf(2)
    await node.client.tombstoneStream(stream, { expectedRevision: 1n })
    await expect(revisions(stream)).rejects.toThrow(StreamDeletedError)
    await expect(node.client.appendToStream(stream, someEvents(1))).rejects.toThrow(StreamDeletedError)
    await expect(node.client.deleteStream(stream)).rejects.toThrow(StreamDeletedError)
    await expect(collect(node.client.subscribeToStream(stream))).rejects.toThrow(StreamDeletedError)
  })

  test('may never have existed; its name may be of any letters', async () => {
    const stream = newStream('сирота')
    await node.client.tombstoneStream(stream, { expectedRevision: NO_STREAM })
    await expect(revisions(stream)).rejects.toThrow(StreamDeletedError)
  })

  test('ends the subscriptions to it, and shows in $all', async () => {
    const stream = await streamOf(1)
    const subscription = node.client.subscribeToStream(stream, { fromRevision: 'end' })
    const ended = expect(collect(subscription)).rejects.toThrow(StreamDeletedError)
    await node.client.tombstoneStream(stream)
    await ended
    const all = await collect(node.client.readAll())
    expect(
      all.find(({ event }) => event?.type === '$streamDeleted' && event.streamId === stream)?.event,
    ).toMatchObject({
      revision: 2n ** 63n - 1n,
    })
  })
})

describe('stream metadata', () => {
  test('is stored and read back', async () => {
    const stream = await streamOf(1)
    const metadata = { maxCount: 5, acl: { readRoles: ['$all'] }, custom: { a: 1 } }
    await node.client.setStreamMetadata(stream, metadata)
    expect(await node.client.getStreamMetadata(stream)).toMatchObject({ streamName: stream, metadata })
    expect(await node.client.getStreamMetadata(newStream())).not.toHaveProperty('metadata')
  })

  test('$maxCount keeps the newest, of what was there and of what comes', async () => {
    const stream = await streamOf(5)
    await node.client.setStreamMetadata(stream, { maxCount: 2 })
    expect(await revisions(stream)).toEqual([3, 4])
    await node.client.appendToStream(stream, someEvents(4))
    expect(await revisions(stream)).toEqual([7, 8])
    await node.client.setStreamMetadata(stream, { maxCount: 10 })
    expect(await revisions(stream)).toEqual([7, 8])
  })

  test('$tb hides what is before it, also what is yet to come', async () => {
    const stream = await streamOf(3)
    await node.client.setStreamMetadata(stream, { truncateBefore: 5 })
    expect(await revisions(stream)).toEqual([])
    await node.client.appendToStream(stream, someEvents(3))
    expect(await revisions(stream)).toEqual([5])
  })

  test('$maxAge hides what is older', async () => {
    const stream = await streamOf(3)
    await node.client.setStreamMetadata(stream, { maxAge: 3600 })
    expect(await revisions(stream)).toEqual([0, 1, 2])
    await node.client.setStreamMetadata(stream, { maxAge: 1 })
    await expect.poll(() => revisions(stream), { timeout: 10_000 }).toEqual([])
  })

  test('may be set before the stream is, which then exists', async () => {
    const stream = newStream()
    await node.client.setStreamMetadata(stream, { maxCount: 1 })
    await expect(revisions(stream)).rejects.toThrow(StreamNotFoundError)
    await node.client.appendToStream(stream, someEvents(3), { expectedRevision: STREAM_EXISTS })
    expect(await revisions(stream)).toEqual([2])
  })

  test('that cannot be read limits nothing', async () => {
    const stream = await streamOf(2)
    await node.client.appendToStream(
      `$$${stream}`,
      jsonEvent({ type: '$metadata', data: { $maxCount: 'many' } }),
    )
    expect(await revisions(stream)).toEqual([0, 1])
  })
})
