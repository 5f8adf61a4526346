/** readStream, readAll, setStreamMetadata and getStreamMetadata of the official client, on whichever event store there is. */
import {
  BACKWARDS,
  binaryEvent,
  END,
  FORWARDS,
  InvalidArgumentError,
  jsonEvent,
  START,
  StreamDeletedError,
  StreamNotFoundError,
} from '@eventstore/db-client'
import { describe, expect, test } from 'vitest'
import { isMissing } from '../../support/services.ts'
import { useClient } from './client-under-test.ts'
import { collect, newStream, someEvents } from './node-under-test.ts'

declare global {
  interface JSON {
    /** https://tc39.es/proposal-json-parse-with-source: a number as it is to stand, here one that JavaScript cannot hold. */
    rawJSON(text: string): object
  }
}

const store = useClient()

async function streamOf(count: number): Promise<string> {
  const stream = newStream('client-read')
  await store.client.appendToStream(stream, someEvents(count))
  return stream
}

type Reading = NonNullable<Parameters<typeof store.client.readStream>[1]>

async function revisions(stream: string, options: Reading = {}): Promise<number[]> {
  return (await collect(store.client.readStream(stream, options))).map(({ event }) => Number(event?.revision))
}

describe.skipIf(isMissing('event store'))('readStream', () => {
  test.each([
    ['from the start', {}, [0, 1, 2, 3, 4]],
    ['from a revision', { fromRevision: 3n }, [3, 4]],
    ['from past the end', { fromRevision: 9n }, []],
    ['at most two', { maxCount: 2 }, [0, 1]],
    ['backwards from the end', { direction: BACKWARDS, fromRevision: END }, [4, 3, 2, 1, 0]],
    ['backwards from a revision', { direction: BACKWARDS, fromRevision: 2n }, [2, 1, 0]],
    ['backwards from past the end', { direction: BACKWARDS, fromRevision: 99n }, [4, 3, 2, 1, 0]],
    ['backwards, the last one', { direction: BACKWARDS, fromRevision: END, maxCount: 1 }, [4]],
  ] as const)('reads %s', async (_, options, told) => {
    expect(await revisions(await streamOf(5), options)).toEqual(told)
  })

  test('reads more than a page of either size in both directions', async () => {
    const stream = await streamOf(700)
    const all = Array.from({ length: 700 }, (_, revision) => revision)
    expect(await revisions(stream)).toEqual(all)
    expect(await revisions(stream, { direction: BACKWARDS, fromRevision: END })).toEqual(all.toReversed())
  })

  test('raises StreamNotFoundError, with the name, for what never was and for what is soft-deleted', async () => {
    const missing = newStream('нет')
    await expect(revisions(missing)).rejects.toThrow(StreamNotFoundError)
    await expect(revisions(missing)).rejects.toMatchObject({ streamName: missing })
    const deleted = await streamOf(1)
    await store.client.deleteStream(deleted)
    await expect(revisions(deleted, { direction: BACKWARDS, fromRevision: END })).rejects.toThrow(
      StreamNotFoundError,
    )
  })

  test.each([-1n, 2n ** 64n])('raises InvalidArgumentError from %s', (fromRevision) => {
    expect(() => store.client.readStream('any', { fromRevision })).toThrow(InvalidArgumentError)
  })

  test('resolves links on demand, and leaves alone those that lead nowhere', async () => {
    const target = await streamOf(2)
    const links = newStream('client-read')
    const link = (data: string) => binaryEvent({ type: '$>', data: new Uint8Array(Buffer.from(data)) })
    await store.client.appendToStream(links, [
      link(`1@${target}`),
      link(`7@${target}`),
      link(`0@${links}-no`),
    ])
    const resolved = await collect(store.client.readStream(links, { resolveLinkTos: true }))
    expect(resolved.map(({ event, link }) => [event?.streamId, event?.revision, link?.revision])).toEqual([
      [target, 1n, 0n],
      [undefined, undefined, 1n],
      [undefined, undefined, 2n],
    ])
    const [original] = await collect(store.client.readStream(links))
    const [first] = resolved
    expect(first?.commitPosition).toBe(original?.event?.position?.commit)
    expect(first?.link?.position).toEqual(original?.event?.position)
    expect(first?.event?.position?.commit).toBeLessThan(original?.event?.position?.commit ?? 0n)
  })

  test('tells when an event was created, to the millisecond', async () => {
    const before = Date.now() - 60_000
    const [read] = await collect(store.client.readStream(await streamOf(1)))
    expect(Number(read?.event?.created)).toBeGreaterThan(before)
    expect(Number(read?.event?.created)).toBeLessThan(Date.now() + 60_000)
  })

  test('can be given up half-way', async () => {
    const reading = store.client.readStream(await streamOf(500))
    for await (const { event } of reading) if (event?.revision === 3n) break
    await reading.cancel()
    expect(await revisions(await streamOf(1))).toEqual([0])
  })
})

describe.skipIf(isMissing('event store'))('readAll', () => {
  async function ownIds(stream: string, options: Parameters<typeof store.client.readAll>[0]) {
    const events = await collect(store.client.readAll(options))
    return events.filter(({ event }) => event?.streamId === stream).map(({ event }) => event?.revision)
  }

  test('is inclusive forwards and exclusive backwards', async () => {
    const stream = await streamOf(4)
    const [, second] = await collect(store.client.readStream(stream))
    const fromPosition = second?.event?.position ?? START
    const [first] = await collect(store.client.readAll({ fromPosition, maxCount: 1 }))
    expect(first?.event?.id).toBe(second?.event?.id)
    expect(await ownIds(stream, { fromPosition, direction: FORWARDS })).toEqual([1n, 2n, 3n])
    const [before] = await collect(store.client.readAll({ fromPosition, direction: BACKWARDS, maxCount: 1 }))
    expect(before?.event).toMatchObject({ streamId: stream, revision: 0n })
  })

  test('is the same in both directions, its positions strictly increasing', async () => {
    const first = await store.client.appendToStream(newStream('client-read'), someEvents(1))
    await streamOf(100)
    const fromPosition = first.position ?? START
    const forwards = await collect(store.client.readAll({ fromPosition }))
    const positions = forwards.map(({ commitPosition = 0n }) => commitPosition)
    expect(positions).toEqual([...new Set(positions)].toSorted((a, b) => (a < b ? -1 : 1)))
    const backwards = await collect(
      store.client.readAll({ direction: BACKWARDS, fromPosition: END, maxCount: forwards.length }),
    )
    expect(backwards.map(({ event }) => event?.id).toReversed()).toEqual(
      forwards.map(({ event }) => event?.id),
    )
  })

  test('from the end forwards, and from the start backwards, has nothing of ours', async () => {
    const stream = await streamOf(1)
    expect(await ownIds(stream, { fromPosition: END })).toEqual([])
    expect(await ownIds(stream, { fromPosition: START, direction: BACKWARDS })).toEqual([])
  })

  test('shows the tombstone of a stream with the greatest revision', async () => {
    const stream = await streamOf(1)
    const { position } = await store.client.tombstoneStream(stream)
    const [tombstone] = await collect(store.client.readAll({ fromPosition: position ?? START, maxCount: 1 }))
    expect(tombstone?.event).toMatchObject({
      type: '$streamDeleted',
      streamId: stream,
      revision: 2n ** 63n - 1n,
    })
  })
})

describe.skipIf(isMissing('event store'))('stream metadata', () => {
  test('come back as they were set, custom keys and access rights too', async () => {
    const stream = await streamOf(1)
    const metadata = {
      maxCount: 5,
      maxAge: 3600,
      truncateBefore: 0,
      cacheControl: 10,
      acl: { readRoles: ['$all'], writeRoles: ['$all'], metaWriteRoles: ['$all'] },
      custom: { a: 1 },
    }
    await store.client.setStreamMetadata(stream, metadata)
    expect(await store.client.getStreamMetadata(stream)).toMatchObject({ streamName: stream, metadata })
  })

  test('of a stream that has none are none', async () => {
    expect(await store.client.getStreamMetadata(newStream())).not.toHaveProperty('metadata')
  })

  test('are set at an expected revision', async () => {
    const stream = await streamOf(1)
    await store.client.setStreamMetadata(stream, { maxCount: 1 }, { expectedRevision: 'no_stream' })
    const again = store.client.setStreamMetadata(stream, { maxCount: 2 }, { expectedRevision: 'no_stream' })
    await expect(again).rejects.toMatchObject({ type: 'wrong-expected-version', actualVersion: 0n })
  })

  test.each([
    ['$maxCount keeps the newest', { maxCount: 2 }, [3, 4]],
    ['$tb hides what is before it', { truncateBefore: 3 }, [3, 4]],
    ['the stricter of both holds', { truncateBefore: 1, maxCount: 1 }, [4]],
    ['$maxAge hides nothing that is young', { maxAge: 3600 }, [0, 1, 2, 3, 4]],
    ['$tb beyond the end hides everything', { truncateBefore: 9 }, []],
  ])('%s', async (_, metadata, told) => {
    const stream = await streamOf(5)
    await store.client.setStreamMetadata(stream, metadata)
    expect(await revisions(stream)).toEqual(told)
    expect(await revisions(stream, { direction: BACKWARDS, fromRevision: END })).toEqual(told.toReversed())
  })

  test.each([
    ['a number with a fraction', { $maxCount: 1.5 }],
    ['a whole number written as a fraction', { $maxCount: JSON.rawJSON('1.0') }],
    ['a text', { $maxCount: '1' }],
    ['nothing', { $maxCount: null }],
    ['wrong access rights beside it', { $maxCount: 1, $acl: { $r: 5 } }],
    ['a cache time that is none beside it', { $maxCount: 1, $cacheControl: 'long' }],
    ['more than 63 bits', { $maxCount: 1, $tb: JSON.rawJSON('9223372036854775808') }],
  ])('that hold %s limit nothing', async (_, data) => {
    const stream = await streamOf(3)
    await store.client.appendToStream(`$$${stream}`, jsonEvent({ type: '$metadata', data }))
    expect(await revisions(stream)).toEqual([0, 1, 2])
  })

  test('that do not claim to be JSON limit nothing', async () => {
    const stream = await streamOf(3)
    const data = new Uint8Array(Buffer.from('{"$maxCount":1}'))
    await store.client.appendToStream(`$$${stream}`, binaryEvent({ type: '$metadata', data }))
    expect(await revisions(stream)).toEqual([0, 1, 2])
  })

  test('with the $tb of a soft delete delete softly', async () => {
    const stream = await streamOf(2)
    const data = { $tb: JSON.rawJSON('9223372036854775807') }
    await store.client.appendToStream(`$$${stream}`, jsonEvent({ type: '$metadata', data }))
    await expect(revisions(stream)).rejects.toThrow(StreamNotFoundError)
  })

  test('that are set bring a soft-deleted stream back, empty', async () => {
    const stream = await streamOf(3)
    await store.client.deleteStream(stream)
    await store.client.setStreamMetadata(stream, { colour: 'red' })
    expect(await revisions(stream)).toEqual([])
    expect(await store.client.getStreamMetadata(stream)).toMatchObject({
      metadata: { colour: 'red', truncateBefore: 3 },
    })
  })

  test('go with a tombstoned stream', async () => {
    const stream = await streamOf(1)
    await store.client.setStreamMetadata(stream, { maxCount: 1 })
    await store.client.tombstoneStream(stream)
    await expect(store.client.getStreamMetadata(stream)).rejects.toThrow(StreamDeletedError)
    await expect(store.client.setStreamMetadata(stream, {})).rejects.toThrow(StreamDeletedError)
  })
})
