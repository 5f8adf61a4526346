import { jsonEvent, StreamDeletedError, WrongExpectedVersionError } from '@eventstore/db-client'
import { describe, expect, test } from 'vitest'
import { appendBy, collect, newStream, someEvents, useNode } from './node-under-test.ts'

const node = useNode()

describe.each(['unary', 'batch'] as const)('%s append', (call) => {
  const append: ReturnType<typeof appendBy> = (...args) => appendBy(call, node.client)(...args)

  async function streamOf(count: number) {
    const stream = newStream()
    const events = someEvents(count)
    if (count > 0) await append(stream, events, 'no_stream')
    return { stream, events }
  }

  async function idsIn(stream: string) {
    return (await collect(node.client.readStream(stream))).map(({ event }) => event?.id)
  }

  test.each([
    ['any', 0],
    ['any', 2],
    ['no_stream', 0],
    ['stream_exists', 2],
    [1n, 2],
  ] as const)('expecting %s of a stream of %i events writes', async (expected, count) => {
    const { stream, events } = await streamOf(count)
    const added = someEvents(3)
    const result = await append(stream, added, expected)
    expect(result).toMatchObject({ success: true, nextExpectedRevision: BigInt(count + 2) })
    const read = await collect(node.client.readStream(stream))
    expect(read.map(({ event }) => event?.id)).toEqual([...events, ...added].map(({ id }) => id))
    expect(result.position).toEqual(read.at(-1)?.event?.position)
  })

  test.each([
    ['no_stream', 2, 1n],
    ['stream_exists', 0, 'no_stream'],
    [0n, 2, 1n],
    [2n, 2, 1n],
    [0n, 0, 'no_stream'],
  ] as const)('expecting %s of a stream of %i events is refused', async (expected, count, actual) => {
    const { stream } = await streamOf(count)
    const error = await append(stream, someEvents(1), expected).catch((reason) => reason)
    expect(error).toBeInstanceOf(WrongExpectedVersionError)
    expect(error).toMatchObject({ streamName: stream, expectedVersion: expected, actualVersion: actual })
    if (count > 0) expect(await idsIn(stream)).toHaveLength(count)
  })

  test.each([
    ['any', 0],
    ['stream_exists', 2],
    ['no_stream', 0],
    [1n, 2],
  ] as const)('expecting %s, the same events again are written once', async (expected, count) => {
    const { stream } = await streamOf(count)
    const events = someEvents(2)
    const first = await append(stream, events, expected)
    await append(stream, someEvents(1), 'any')
    expect(await append(stream, events, expected)).toEqual(first)
    expect(await idsIn(stream)).toHaveLength(count + 3)
  })

  test.each(['any', 'no_stream'] as const)(
    'expecting %s, known and unknown events together are refused',
    async (expected) => {
      const stream = newStream()
      const events = someEvents(2)
      await append(stream, events, 'no_stream')
      await expect(append(stream, [...events, ...someEvents(1)], expected)).rejects.toThrow(
        WrongExpectedVersionError,
      )
      expect(await idsIn(stream)).toHaveLength(2)
    },
  )

  test('the exact revision that is current always writes, known ids or not', async () => {
    const { stream, events } = await streamOf(2)
    expect(await append(stream, events, 1n)).toMatchObject({ nextExpectedRevision: 3n })
  })

  test('an event known in another stream is new in this one', async () => {
    const { events } = await streamOf(1)
    expect(await append(newStream(), events, 'any')).toMatchObject({ nextExpectedRevision: 0n })
  })

  test('no events leave the revision as it is', async () => {
    const { stream } = await streamOf(2)
    expect(await append(stream, [], 'any')).toMatchObject({ success: true, nextExpectedRevision: 1n })
    expect(await append(stream, [], 1n)).toMatchObject({ success: true, nextExpectedRevision: 1n })
    await expect(append(stream, [], 0n)).rejects.toThrow(WrongExpectedVersionError)
  })

  test('metadata, type, id and data come back as they were', async () => {
    const stream = newStream('ключ')
    const sent = jsonEvent({ type: 'Тип', data: { text: 'žluťoučký 🐎' }, metadata: { $correlationId: 'x' } })
    await append(stream, { ...sent, id: sent.id.toUpperCase() }, 'no_stream')
    const [read] = await collect(node.client.readStream(stream))
    expect(read?.event).toMatchObject({
      streamId: stream,
      id: sent.id,
      type: sent.type,
      data: sent.data,
      metadata: sent.metadata,
      revision: 0n,
      isJson: true,
    })
    expect(Math.abs(Number(read?.event?.created) - Date.now())).toBeLessThan(60_000)
  })

  test('more than 1 MiB in one append is refused, and the connection lives', async () => {
    const stream = newStream()
    const big = jsonEvent({ type: 'Big', data: { filler: 'x'.repeat(1024 * 1024) } })
    await expect(append(stream, big, 'any')).rejects.toMatchObject({
      type: 'maximum-append-size-exceeded',
      maxAppendSize: 1024 * 1024,
    })
    expect(await append(stream, someEvents(1), 'no_stream')).toMatchObject({ success: true })
  })

  test('a stream deleted for good takes nothing', async () => {
    const { stream } = await streamOf(1)
    await node.client.tombstoneStream(stream)
    const error = await append(stream, someEvents(1), 'any').catch((reason) => reason)
    expect(error).toBeInstanceOf(StreamDeletedError)
    expect(error).toMatchObject({ streamName: stream })
  })

  test('64 writers at once on one stream: every revision once', async () => {
    const stream = newStream()
    const results = await Promise.all(Array.from({ length: 64 }, () => append(stream, someEvents(1), 'any')))
    const revisions = results.map(({ nextExpectedRevision }) => Number(nextExpectedRevision))
    expect(revisions.sort((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, revision) => revision))
  })

  test('64 writers at once with the same expectation: one writes', async () => {
    const stream = newStream()
    const results = await Promise.allSettled(
      Array.from({ length: 64 }, () => append(stream, someEvents(1), 'no_stream')),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await idsIn(stream)).toHaveLength(1)
  })
})
