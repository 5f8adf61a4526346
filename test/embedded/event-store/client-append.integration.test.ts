/** appendToStream of the official client, by both calls of the protocol, on whichever event store there is. */
import {
  ANY,
  type AppendExpectedRevision,
  binaryEvent,
  DeadlineExceededError,
  type EventData,
  jsonEvent,
  MaxAppendSizeExceededError,
  NO_STREAM,
  STREAM_EXISTS,
  StreamDeletedError,
  WrongExpectedVersionError,
} from '@eventstore/db-client'
import { describe, expect, test } from 'vitest'
import { isMissing } from '../../support/services.ts'
import { useClient } from './client-under-test.ts'
import { appendBy, collect, newStream, someEvents } from './node-under-test.ts'

const store = useClient()

describe.skipIf(isMissing('event store')).each(['unary', 'batch'] as const)('%s append', (call) => {
  const append = (stream: string, events: EventData | EventData[], expected: AppendExpectedRevision) =>
    appendBy(call, store.client)(stream, events, expected)

  async function streamOf(count: number) {
    const stream = newStream('client-append')
    const events = someEvents(count)
    if (count > 0) await append(stream, events, NO_STREAM)
    return { stream, events }
  }

  test('answers with the last revision and the position of the last event', async () => {
    const { stream } = await streamOf(2)
    const result = await append(stream, someEvents(3), 1n)
    expect(result).toMatchObject({ success: true, nextExpectedRevision: 4n })
    const [last] = await collect(
      store.client.readStream(stream, { direction: 'backwards', fromRevision: 'end', maxCount: 1 }),
    )
    expect(result.position).toEqual(last?.event?.position)
  })

  test.each([
    [ANY, 0],
    [ANY, 2],
    [NO_STREAM, 0],
    [STREAM_EXISTS, 2],
    [1n, 2],
  ] as const)(
    'expecting %s of a stream of %i events, the same again is success and writes nothing',
    async (expected, count) => {
      const { stream } = await streamOf(count)
      const events = someEvents(2)
      const first = await append(stream, events, expected)
      expect(await append(stream, events, expected)).toEqual(first)
      expect(await collect(store.client.readStream(stream))).toHaveLength(count + 2)
    },
  )

  test('the same again is recognised when its events are truncated by now, and then has no position', async () => {
    const { stream, events } = await streamOf(2)
    await store.client.setStreamMetadata(stream, { truncateBefore: 2 })
    const again = await append(stream, events, NO_STREAM)
    expect(again).toMatchObject({ success: true, nextExpectedRevision: 1n })
    expect(again.position).toBeUndefined()
  })

  test.each([
    [NO_STREAM, 2, 1n],
    [STREAM_EXISTS, 0, NO_STREAM],
    [0n, 2, 1n],
    [7n, 2, 1n],
    [0n, 0, NO_STREAM],
  ] as const)(
    'expecting %s of a stream of %i events raises WrongExpectedVersionError',
    async (expected, count, actual) => {
      const { stream } = await streamOf(count)
      const error = await append(stream, someEvents(1), expected).catch((reason) => reason)
      expect(error).toBeInstanceOf(WrongExpectedVersionError)
      expect(error).toMatchObject({ streamName: stream, expectedVersion: expected, actualVersion: actual })
    },
  )

  test('of known and unknown events together raises WrongExpectedVersionError', async () => {
    const { stream, events } = await streamOf(1)
    await expect(append(stream, [...events, ...someEvents(1)], ANY)).rejects.toThrow(
      WrongExpectedVersionError,
    )
  })

  test('of no events leaves the revision as it is', async () => {
    const { stream } = await streamOf(2)
    expect(await append(stream, [], ANY)).toMatchObject({ success: true, nextExpectedRevision: 1n })
    await expect(append(stream, [], 0n)).rejects.toThrow(WrongExpectedVersionError)
  })

  test('to a tombstoned stream raises StreamDeletedError with its name', async () => {
    const { stream } = await streamOf(1)
    await store.client.tombstoneStream(stream)
    const error = await append(stream, someEvents(1), ANY).catch((reason) => reason)
    expect(error).toBeInstanceOf(StreamDeletedError)
    expect(error).toMatchObject({ streamName: stream })
  })

  test('to a soft-deleted stream that must exist raises StreamDeletedError', async () => {
    const { stream } = await streamOf(1)
    await store.client.deleteStream(stream)
    await expect(append(stream, someEvents(1), STREAM_EXISTS)).rejects.toThrow(StreamDeletedError)
  })

  test('of more than 1 MiB raises MaxAppendSizeExceededError, however many events it is spread over', async () => {
    const { stream } = await streamOf(0)
    const big = Array.from({ length: 20 }, () => binaryEvent({ type: 'Big', data: new Uint8Array(60_000) }))
    const error = await append(stream, big, ANY).catch((reason) => reason)
    expect(error).toBeInstanceOf(MaxAppendSizeExceededError)
    expect(error).toMatchObject({ maxAppendSize: 1024 * 1024 })
    expect(await append(stream, big.slice(0, 15), NO_STREAM)).toMatchObject({ nextExpectedRevision: 14n })
  })

  test('keeps JSON, bytes, metadata of either kind, types and ids as they were', async () => {
    const stream = newStream('client-append-žluť')
    const sent = [
      jsonEvent({ type: 'Тип', data: { text: '🐎', deep: [{ n: 1.5 }] }, metadata: { $correlationId: 'x' } }),
      binaryEvent({ type: 'bytes', data: Uint8Array.of(0, 255, 7), metadata: Uint8Array.of(1, 2) }),
      jsonEvent({ type: '$of-the-system', data: {} }),
    ]
    await append(stream, sent, NO_STREAM)
    const read = (await collect(store.client.readStream(stream))).map(({ event }) => event)
    for (const [revision, { id, type, metadata }] of sent.entries()) {
      expect(read[revision]).toMatchObject({ streamId: stream, id, type, revision: BigInt(revision) })
      if (metadata !== undefined) expect(read[revision]?.metadata).toEqual(metadata)
    }
    expect(read.map((event) => event?.isJson)).toEqual([true, false, true])
    expect(read[0]?.data).toEqual(sent[0]?.data)
    expect(read[1]?.data).toEqual(Uint8Array.of(0, 255, 7))
  })

  test('gives the ids back in lower case', async () => {
    const { stream } = await streamOf(0)
    const [event] = someEvents(1)
    await append(stream, { ...jsonEvent({ type: 'T', data: {} }), id: event?.id.toUpperCase() ?? '' }, ANY)
    expect((await collect(store.client.readStream(stream)))[0]?.event?.id).toBe(event?.id)
  })
})

describe.skipIf(isMissing('event store'))('what does not come through', () => {
  test('as not all of it comes in time raises DeadlineExceededError', async () => {
    const large = Array.from({ length: 400 }, () =>
      jsonEvent({ type: 'Large', data: { filler: 'x'.repeat(2000) } }),
    )
    const append = store.client.appendToStream(newStream(), large, { deadline: 1, batchAppendSize: 4000 })
    await expect(append).rejects.toThrow(DeadlineExceededError)
    const credentials = { username: 'admin', password: 'changeit' }
    const unary = store.client.appendToStream(newStream(), large, { deadline: 1, credentials })
    await expect(unary).rejects.toThrow(DeadlineExceededError)
  })

  test('as one event is larger than a message may be fails, and what is sent next does not', async () => {
    const stream = newStream('client-append')
    const huge = binaryEvent({ type: 'Huge', data: new Uint8Array(17 * 1024 * 1024) })
    await expect(store.client.appendToStream(stream, huge)).rejects.toThrow()
    const next = await store.client.appendToStream(stream, someEvents(1), { expectedRevision: NO_STREAM })
    expect(next).toMatchObject({ success: true })
  })
})
