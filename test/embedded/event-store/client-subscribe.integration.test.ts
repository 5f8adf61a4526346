/** subscribeToStream and subscribeToAll of the official client, on whichever event store there is. */
import { once } from 'node:events'
import {
  type AllStreamSubscription,
  END,
  eventTypeFilter,
  excludeSystemEvents,
  type Position,
  type ResolvedEvent,
  START,
  StreamDeletedError,
  type StreamSubscription,
  streamNameFilter,
} from '@eventstore/db-client'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isMissing } from '../../support/services.ts'
import { isOurNode, useClient } from './client-under-test.ts'
import { newStream, someEvents } from './node-under-test.ts'

const store = useClient()

type Subscription = AllStreamSubscription | StreamSubscription

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

const idsOf = (events: readonly { readonly id: string }[]) => events.map(({ id }) => id)

async function lastPosition(): Promise<Position> {
  const { position } = await store.client.appendToStream(newStream('marker'), someEvents(1))
  return position ?? expect.fail('an append without a position')
}

describe.skipIf(isMissing('event store'))('subscribeToStream', () => {
  test.each([
    ['from the start', START, 0],
    ['from after a revision', 1n, 2],
    ['from the end', END, 4],
  ] as const)(
    'sends what there is %s, says that it has caught up, and goes on',
    async (_, fromRevision, first) => {
      const stream = newStream('client-subscribe')
      const events = someEvents(4)
      const more = someEvents(3)
      await store.client.appendToStream(stream, events)
      const subscription = store.client.subscribeToStream(stream, { fromRevision })
      const [confirmed, caughtUp] = [once(subscription, 'confirmation'), once(subscription, 'caughtUp')]
      const taken = take(subscription, 4 - first + 3)
      await confirmed
      await caughtUp
      await store.client.appendToStream(newStream(), someEvents(2))
      await store.client.appendToStream(stream, more)
      expect(await taken).toEqual(idsOf([...events.slice(first), ...more]))
    },
  )

  test('waits for a stream that is not there yet', async () => {
    const stream = newStream('client-subscribe')
    const subscription = store.client.subscribeToStream(stream)
    const taken = take(subscription, 3)
    await once(subscription, 'confirmation')
    const events = someEvents(3)
    for (const event of events) await store.client.appendToStream(stream, event)
    expect(await taken).toEqual(idsOf(events))
  })

  test('outlives a soft delete, and goes on when the stream is written to again', async () => {
    const stream = newStream('client-subscribe')
    const [before, after] = [someEvents(2), someEvents(2)]
    await store.client.appendToStream(stream, before)
    const subscription = store.client.subscribeToStream(stream)
    const taken = take(subscription, 4)
    await once(subscription, 'caughtUp')
    await store.client.deleteStream(stream)
    await store.client.appendToStream(stream, after)
    expect(await taken).toEqual(idsOf([...before, ...after]))
  })

  test('raises StreamDeletedError when the stream is tombstoned, after what came before', async () => {
    const stream = newStream('client-subscribe')
    await store.client.appendToStream(stream, someEvents(1))
    const subscription = store.client.subscribeToStream(stream, { fromRevision: END })
    const types: (string | undefined)[] = []
    subscription.on('data', ({ event }: ResolvedEvent) => void types.push(event?.type))
    const failed = once(subscription, 'error')
    await once(subscription, 'caughtUp')
    await store.client.tombstoneStream(stream)
    expect((await failed)[0]).toBeInstanceOf(StreamDeletedError)
    expect(types).toEqual(['$streamDeleted'])
  })

  test('has an id of its own', async () => {
    const [one, other] = [store.client.subscribeToStream('x'), store.client.subscribeToStream('x')]
    await Promise.all([once(one.resume(), 'confirmation'), once(other.resume(), 'confirmation')])
    expect(one.id).toMatch(/^[0-9a-f-]{36}$/)
    expect(one.id).not.toBe(other.id)
    await Promise.all([one.unsubscribe(), other.unsubscribe()])
  })
})

describe.skipIf(isMissing('event store'))('subscribeToAll', () => {
  test('from a position begins after it', async () => {
    const stream = newStream('client-subscribe')
    const fromPosition = await lastPosition()
    const events = someEvents(4)
    await store.client.appendToStream(stream, events)
    const filter = streamNameFilter({ prefixes: [stream] })
    expect(await take(store.client.subscribeToAll({ fromPosition, filter }), 4)).toEqual(idsOf(events))
    const [first] = await Array.fromAsync(store.client.readStream(stream, { maxCount: 1 }))
    const after = store.client.subscribeToAll({ fromPosition: first?.event?.position ?? START, filter })
    expect(await take(after, 3)).toEqual(idsOf(events.slice(1)))
  })

  test('from the end sees only what comes', async () => {
    const stream = newStream('client-subscribe')
    await store.client.appendToStream(stream, someEvents(2))
    const filter = streamNameFilter({ prefixes: [stream] })
    const subscription = store.client.subscribeToAll({ fromPosition: END, filter })
    const taken = take(subscription, 2)
    await once(subscription, 'caughtUp')
    const events = someEvents(2)
    await store.client.appendToStream(stream, events)
    expect(await taken).toEqual(idsOf(events))
  })

  test.each([
    ['stream prefixes', (mark: string) => streamNameFilter({ prefixes: [`${mark}-b`, 'nothing'] })],
    ['a stream pattern', (mark: string) => streamNameFilter({ regex: `^${mark}-[bc]$` })],
    ['type prefixes', (mark: string) => eventTypeFilter({ prefixes: [`${mark}-B`] })],
    ['a type pattern', (mark: string) => eventTypeFilter({ regex: `^${mark}-(B|C)$` })],
    [
      'a pattern and a search window',
      (mark: string) => streamNameFilter({ regex: `${mark}-b`, maxSearchWindow: 2 }),
    ],
  ] as const)('filters by %s, of what there is and of what comes', async (_, filterFor) => {
    const fromPosition = await lastPosition()
    const mark = newStream('filtered')
    const [before, after] = [someEvents(2, `${mark}-B`), someEvents(2, `${mark}-B`)]
    await store.client.appendToStream(`${mark}-a`, someEvents(40, `${mark}-A`))
    await store.client.appendToStream(`${mark}-b`, before)
    const subscription = store.client.subscribeToAll({ fromPosition, filter: filterFor(mark) })
    const taken = take(subscription, 4)
    await once(subscription, 'caughtUp')
    await store.client.appendToStream(`${mark}-a`, someEvents(40, `${mark}-A`))
    await store.client.appendToStream(`${mark}-b`, after)
    expect(await taken).toEqual(idsOf([...before, ...after]))
  })

  test('without system events has none', async () => {
    const fromPosition = await lastPosition()
    const stream = newStream('client-subscribe')
    await store.client.setStreamMetadata(stream, { maxCount: 5 })
    const events = someEvents(2)
    await store.client.appendToStream(stream, events)
    const subscription = store.client.subscribeToAll({ fromPosition, filter: excludeSystemEvents() })
    expect(await take(subscription, 2)).toEqual(idsOf(events))
  })

  test.each([
    ['32 events by default', { checkpointInterval: 1 }, 32],
    ['as many windows as the interval says', { checkpointInterval: 3, maxSearchWindow: 10 }, 30],
  ])('tells how far it has come, at the latest after %s', async (_, options, most) => {
    const fromPosition = await lastPosition()
    const stream = newStream('client-subscribe')
    await store.client.appendToStream(stream, someEvents(5 * most))
    const checkpoints: bigint[] = []
    const filter = streamNameFilter({
      prefixes: ['no such stream'],
      ...options,
      checkpointReached: async (__, { commit }) => void checkpoints.push(commit),
    })
    const subscription = store.client.subscribeToAll({ fromPosition, filter }).resume()
    await once(subscription, 'caughtUp')
    await store.client.appendToStream(stream, someEvents(5 * most))
    await expect.poll(() => checkpoints.length, { timeout: 30_000 }).toBeGreaterThanOrEqual(9)
    await subscription.unsubscribe()
    expect(checkpoints).toEqual(checkpoints.toSorted((a, b) => (a < b ? -1 : 1)))
  })

  test.skipIf(!isMissing('event store') && !isOurNode())(
    'refuses an expression that is not linear with a sentence',
    async () => {
      const filter = streamNameFilter({ regex: '^(a+)\\1$' })
      await expect(take(store.client.subscribeToAll({ filter }), 1)).rejects.toThrow(/back-references/)
    },
  )

  test('hands over from catching up to live without a gap or a double, whoever writes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 25 }), {
          minLength: 1,
          maxLength: 6,
        }),
        fc.nat(30),
        async (writers, startAfter) => {
          const prefix = newStream('hand-over')
          const fromPosition = await lastPosition()
          const written = new Map<string, string[]>()
          let appends = 0
          const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
          const writing = writers.map(async (sizes, writer) => {
            const stream = `${prefix}-${writer}`
            const ids: string[] = []
            written.set(stream, ids)
            for (const size of sizes) {
              const events = someEvents(size)
              ids.push(...idsOf(events))
              await store.client.appendToStream(stream, events)
              appends += 1
              if (appends > startAfter) begin()
            }
          })
          const total = writers.flat().reduce((sum, size) => sum + size, 0)
          await Promise.race([begun, Promise.all(writing)])
          const filter = streamNameFilter({ prefixes: [prefix] })
          const all = collectBy(store.client.subscribeToAll({ fromPosition, filter }), total)
          const streams = writers.map((sizes, writer) =>
            collectBy(
              store.client.subscribeToStream(`${prefix}-${writer}`),
              sizes.reduce((sum, size) => sum + size, 0),
            ),
          )
          await Promise.all(writing)
          expect(await all).toEqual(written)
          for (const one of await Promise.all(streams)) {
            for (const [stream, ids] of one) expect(ids).toEqual(written.get(stream))
          }
        },
      ),
      { numRuns: 15 },
    )
  })

  async function collectBy(subscription: Subscription, count: number): Promise<Map<string, string[]>> {
    const seen = new Map<string, string[]>()
    let left = count
    for await (const { event } of subscription) {
      if (event === undefined) continue
      seen.set(event.streamId, [...(seen.get(event.streamId) ?? []), event.id])
      left -= 1
      if (left === 0) break
    }
    await subscription.unsubscribe()
    return new Map([...seen].toSorted(([a], [b]) => (a < b ? -1 : 1)))
  }
})
