import { once } from 'node:events'
import {
  type AllStreamSubscription,
  END,
  eventTypeFilter,
  type Position,
  type ResolvedEvent,
  START,
  streamNameFilter,
} from '@eventstore/db-client'
import { describe, expect, test } from 'vitest'
import { newStream, someEvents, useNode } from './node-under-test.ts'

const node = useNode()

type Subscription = AllStreamSubscription | ReturnType<typeof node.client.subscribeToStream>

/** The ids of the next `count` events of a subscription, which then ends. */
async function take(subscription: Subscription, count: number): Promise<(string | undefined)[]> {
  const ids: (string | undefined)[] = []
  for await (const { event } of subscription) {
    ids.push(event?.id)
    if (ids.length === count) break
  }
  await subscription.unsubscribe()
  return ids
}

function idsOf(events: readonly { readonly id: string }[]): string[] {
  return events.map(({ id }) => id)
}

async function lastPosition(): Promise<Position> {
  const { position } = await node.client.appendToStream(newStream('marker'), someEvents(1))
  if (position === undefined) throw new Error('an append without a position')
  return position
}

describe('a subscription to $all', () => {
  test('begins after the given position and goes on with what comes', async () => {
    const events = someEvents(4)
    const fromPosition = await lastPosition()
    const stream = newStream()
    await node.client.appendToStream(stream, events.slice(0, 2))
    const subscription = node.client.subscribeToAll({ fromPosition })
    const taken = take(subscription, 4)
    await once(subscription, 'caughtUp')
    await node.client.appendToStream(stream, events.slice(2))
    expect(await taken).toEqual(idsOf(events))
  })

  test('from the end sees only what comes', async () => {
    await lastPosition()
    const subscription = node.client.subscribeToAll({ fromPosition: END })
    const taken = take(subscription, 1)
    await once(subscription, 'caughtUp')
    const [event] = someEvents(1)
    await node.client.appendToStream(newStream(), event ? [event] : [])
    expect(await taken).toEqual([event?.id])
  })

  test('hands over from catch-up to live without a gap or a double, while 8 writers write', async () => {
    const fromPosition = await lastPosition()
    const prefix = newStream('hand-over')
    const positions: bigint[] = []
    const subscription = node.client.subscribeToAll({
      fromPosition,
      filter: streamNameFilter({ prefixes: [prefix] }),
    })
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      const ids: string[] = []
      for (let n = 0; n < 150; n += 1) {
        const events = someEvents(1 + (n % 3))
        ids.push(...idsOf(events))
        await node.client.appendToStream(`${prefix}-${writer}`, events)
      }
      return ids
    })
    const seen = new Map<string, string[]>()
    const total = 8 * 150 * 2
    for await (const { event } of subscription) {
      if (event === undefined) continue
      positions.push(event.position?.commit ?? 0n)
      seen.set(event.streamId, [...(seen.get(event.streamId) ?? []), event.id])
      if (positions.length === total) break
    }
    await subscription.unsubscribe()
    const written = await Promise.all(writers)
    expect(written.map((_, writer) => seen.get(`${prefix}-${writer}`))).toEqual(written)
    expect(positions).toEqual(positions.toSorted((a, b) => (a < b ? -1 : 1)))
  })

  test.each([
    ['stream prefix', (mark: string) => streamNameFilter({ prefixes: [`${mark}-b`, 'nothing'] })],
    ['stream pattern', (mark: string) => streamNameFilter({ regex: `^${mark}-[bc]$` })],
    ['type prefix', (mark: string) => eventTypeFilter({ prefixes: [`${mark}-B`] })],
    ['type pattern', (mark: string) => eventTypeFilter({ regex: `${mark}-[BC]` })],
  ] as const)('filters by %s', async (_, filterFor) => {
    const fromPosition = await lastPosition()
    const mark = newStream('filtered')
    const wanted = someEvents(2, `${mark}-B`)
    await node.client.appendToStream(`${mark}-a`, someEvents(3, `${mark}-A`))
    await node.client.appendToStream(`${mark}-b`, wanted)
    await node.client.appendToStream(`${mark}-a`, someEvents(3, `${mark}-A`))
    const subscription = node.client.subscribeToAll({ fromPosition, filter: filterFor(mark) })
    expect(await take(subscription, 2)).toEqual(idsOf(wanted))
  })

  test('finds the few events among many that its filter wants, each once, and then what comes', async () => {
    const fromPosition = await lastPosition()
    const type = newStream('rare')
    const stream = newStream()
    const wanted: string[] = []
    for (const share of [600, 700, 40, 900]) {
      await node.client.appendToStream(stream, someEvents(share))
      const rare = someEvents(2, type)
      await node.client.appendToStream(stream, rare)
      wanted.push(...idsOf(rare))
    }
    const dense = someEvents(700, type)
    await node.client.appendToStream(stream, dense)
    wanted.push(...idsOf(dense))
    const filter = eventTypeFilter({ prefixes: [type] })
    const subscription = node.client.subscribeToAll({ fromPosition, filter })
    const taken = take(subscription, wanted.length + 1)
    await once(subscription, 'caughtUp')
    const [live] = someEvents(1, type)
    await node.client.appendToStream(stream, live ? [live] : [])
    expect(await taken).toEqual([...wanted, live?.id])
  })

  test('tells how far it has come, at every 32nd event considered', async () => {
    const fromPosition = await lastPosition()
    const checkpoints: Position[] = []
    const filter = streamNameFilter({
      prefixes: ['no such stream'],
      checkpointInterval: 2,
      checkpointReached: async (_, position) => void checkpoints.push(position),
    })
    const subscription = node.client.subscribeToAll({ fromPosition, filter }).resume()
    await once(subscription, 'caughtUp')
    await node.client.appendToStream(newStream(), someEvents(200))
    await expect.poll(() => checkpoints.length).toBe(3)
    await subscription.unsubscribe()
    const distances = checkpoints.map(({ commit }) => Number(commit - fromPosition.commit))
    expect(distances).toEqual([64, 128, 192])
    expect(checkpoints.map(({ prepare }) => prepare)).toEqual(checkpoints.map(({ commit }) => commit))
  })

  test('that does not read holds up nobody', async () => {
    const fromPosition = await lastPosition()
    const sleeper = node.client.subscribeToAll({ fromPosition })
    await once(sleeper, 'confirmation')
    const stream = newStream()
    const events = someEvents(3000)
    await node.client.appendToStream(stream, events)
    expect(await take(node.client.subscribeToAll({ fromPosition }), 3000)).toEqual(idsOf(events))
    expect(await take(sleeper, 3000)).toEqual(idsOf(events))
  })

  test('may be one of hundreds on one connection', async () => {
    const fromPosition = await lastPosition()
    const subscriptions = Array.from({ length: 300 }, () => node.client.subscribeToAll({ fromPosition }))
    const taken = subscriptions.map((subscription) => take(subscription, 2))
    const events = someEvents(2)
    await node.client.appendToStream(newStream(), events)
    expect(await Promise.all(taken)).toEqual(Array(300).fill(idsOf(events)))
  })

  test('with a pattern that is none fails', async () => {
    const filter = streamNameFilter({ regex: '(' })
    await expect(take(node.client.subscribeToAll({ fromPosition: START, filter }), 1)).rejects.toMatchObject({
      code: 3,
    })
  })
})

test.each(['$all', 'a stream'])(
  'a subscription to %s that loses touch is told so, misses nothing, and catches up',
  async (of) => {
    const fromPosition = await lastPosition()
    const stream = newStream()
    const subscription: Subscription =
      of === '$all'
        ? node.client.subscribeToAll({ fromPosition })
        : node.client.subscribeToStream(stream, { fromRevision: END })
    await once(subscription, 'caughtUp')
    const told = [once(subscription, 'fellBehind'), once(subscription, 'caughtUp')]
    // Nobody reads: what comes now fills the windows between client and node, and then runs out of the newest in memory.
    const batches = Array.from({ length: 20 }, () => someEvents(700))
    for (const batch of batches) await node.client.appendToStream(stream, batch)
    const ids: (string | undefined)[] = []
    subscription.on('data', ({ event }: ResolvedEvent) => void ids.push(event?.id))
    await Promise.all(told)
    await expect.poll(() => ids.length, { timeout: 20_000 }).toBe(14_000)
    await subscription.unsubscribe()
    expect(ids).toEqual(idsOf(batches.flat()))
  },
)

describe('a subscription to a stream', () => {
  test('begins after the given revision and goes on with what comes', async () => {
    const stream = newStream()
    const events = someEvents(5)
    await node.client.appendToStream(stream, events.slice(0, 3))
    const subscription = node.client.subscribeToStream(stream, { fromRevision: 0n })
    const taken = take(subscription, 4)
    await once(subscription, 'caughtUp')
    await node.client.appendToStream(newStream(), someEvents(2))
    await node.client.appendToStream(stream, events.slice(3))
    expect(await taken).toEqual(idsOf(events.slice(1)))
  })

  test('may wait for a stream that is not there yet', async () => {
    const stream = newStream()
    const subscription = node.client.subscribeToStream(stream)
    const taken = take(subscription, 3)
    await once(subscription, 'caughtUp')
    const events = someEvents(3)
    for (const event of events) await node.client.appendToStream(stream, event)
    expect(await taken).toEqual(idsOf(events))
  })

  test('from the end sees only what comes', async () => {
    const stream = newStream()
    await node.client.appendToStream(stream, someEvents(3))
    const subscription = node.client.subscribeToStream(stream, { fromRevision: END })
    const taken = take(subscription, 1)
    await once(subscription, 'caughtUp')
    const events = someEvents(1)
    await node.client.appendToStream(stream, events)
    expect(await taken).toEqual(idsOf(events))
  })
})
