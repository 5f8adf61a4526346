import { BACKWARDS, END, jsonEvent, START, StreamNotFoundError } from '@eventstore/db-client'
import { describe, expect, test } from 'vitest'
import { collect, newStream, someEvents, useNode } from './node-under-test.ts'

const node = useNode()

async function streamOf(count: number): Promise<string> {
  const stream = newStream()
  await node.client.appendToStream(stream, someEvents(count))
  return stream
}

async function revisions(...args: Parameters<typeof node.client.readStream>): Promise<number[]> {
  return (await collect(node.client.readStream(...args))).map(({ event }) => Number(event?.revision))
}

describe('a stream', () => {
  test.each([
    ['from the start', {}, [0, 1, 2, 3, 4]],
    ['from a revision', { fromRevision: 3n }, [3, 4]],
    ['from past the end', { fromRevision: 9n }, []],
    ['from the end', { fromRevision: END }, []],
    ['at most two', { maxCount: 2 }, [0, 1]],
    ['backwards from the end', { direction: BACKWARDS, fromRevision: END }, [4, 3, 2, 1, 0]],
    ['backwards from a revision', { direction: BACKWARDS, fromRevision: 2n }, [2, 1, 0]],
    ['backwards from past the end', { direction: BACKWARDS, fromRevision: 99n }, [4, 3, 2, 1, 0]],
    ['backwards from the start', { direction: BACKWARDS, fromRevision: START }, [0]],
    ['the last one', { direction: BACKWARDS, fromRevision: END, maxCount: 1 }, [4]],
  ] as const)('is read %s', async (_, options, expected) => {
    expect(await revisions(await streamOf(5), options)).toEqual(expected)
  })

  test('longer than a page is read whole in both directions', async () => {
    const stream = await streamOf(1300)
    const all = Array.from({ length: 1300 }, (_, revision) => revision)
    expect(await revisions(stream)).toEqual(all)
    expect(await revisions(stream, { direction: BACKWARDS, fromRevision: END })).toEqual(all.toReversed())
  })

  test('that does not exist is not found, in either direction', async () => {
    await expect(collect(node.client.readStream(newStream()))).rejects.toThrow(StreamNotFoundError)
    const backwards = node.client.readStream(newStream('имя'), { direction: BACKWARDS, fromRevision: END })
    await expect(collect(backwards)).rejects.toThrow(StreamNotFoundError)
  })

  test('of links is resolved on demand; a link to nothing comes alone', async () => {
    const target = await streamOf(2)
    const links = newStream()
    const link = (data: string) => ({ ...jsonEvent({ type: '$>', data: {} }), ...binary(data) })
    await node.client.appendToStream(links, [link(`1@${target}`), link(`7@${target}`), link('0@nowhere')])
    const resolved = await collect(node.client.readStream(links, { resolveLinkTos: true }))
    expect(resolved.map(({ event, link }) => [event?.streamId, Number(link?.revision)])).toEqual([
      [target, 0],
      [undefined, 1],
      [undefined, 2],
    ])
    const plain = await collect(node.client.readStream(links))
    expect(plain.map(({ event, link }) => [event?.type, link])).toEqual(Array(3).fill(['$>', undefined]))
  })
})

function binary(text: string) {
  return { contentType: 'application/octet-stream', data: new Uint8Array(Buffer.from(text)) } as const
}

describe('$all', () => {
  test('is read forwards inclusive and backwards exclusive of a position', async () => {
    const stream = await streamOf(4)
    const [, second, third] = await collect(node.client.readStream(stream))
    const fromPosition = second?.event?.position ?? START
    const forwards = await collect(node.client.readAll({ fromPosition, maxCount: 2 }))
    expect(forwards.map(({ event }) => event?.id)).toEqual([second?.event?.id, third?.event?.id])
    const backwards = await collect(node.client.readAll({ fromPosition, direction: BACKWARDS, maxCount: 1 }))
    expect(backwards[0]?.event).toMatchObject({ streamId: stream, revision: 0n })
  })

  test('is the same in both directions, its positions strictly increasing from 1 up', async () => {
    await streamOf(700)
    const forwards = await collect(node.client.readAll())
    const positions = forwards.map(({ event }) => Number(event?.position?.commit))
    expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b))
    expect(positions[0]).toBeGreaterThanOrEqual(1)
    expect(forwards.map(({ commitPosition }) => Number(commitPosition))).toEqual(positions)
    const backwards = await collect(node.client.readAll({ direction: BACKWARDS, fromPosition: END }))
    expect(backwards.map(({ event }) => event?.id)).toEqual(
      forwards.map(({ event }) => event?.id).toReversed(),
    )
  })

  test('from the end forwards, and from the start backwards, is empty', async () => {
    await streamOf(1)
    expect(await collect(node.client.readAll({ fromPosition: END }))).toEqual([])
    expect(await collect(node.client.readAll({ fromPosition: START, direction: BACKWARDS }))).toEqual([])
  })
})
