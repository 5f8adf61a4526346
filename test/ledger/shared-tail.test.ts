import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventStore, StoredEvent } from '../../src/ledger/event-store.ts'
import { sharedFollow } from '../../src/ledger/shared-tail.ts'
import { waitFor } from '../support/wait-for.ts'

type Follow = EventStore['follow']
const prefixes = ['incident-', 'accessKey-', 'vault-']

/** A store in memory whose subscriptions are counted, and can be lost. */
function openStore() {
  const events: StoredEvent[] = []
  const running = new Set<AbortController>()
  let changed = Promise.withResolvers<void>()
  const tell = () => {
    changed.resolve()
    changed = Promise.withResolvers()
  }
  const follow: Follow = async function* ({ after, prefixes, batchSize, signal, onConfirmed }) {
    const losing = new AbortController()
    const wake = () => tell()
    signal.addEventListener('abort', wake)
    running.add(losing)
    onConfirmed()
    try {
      let next = after ? Number(after.commit) + 1 : 0
      let endTold = false
      while (!signal.aborted) {
        if (losing.signal.aborted) throw new Error('the connection was lost')
        const page = events.slice(next, next + batchSize)
        next += page.length
        const found = page.filter(({ stream }) => prefixes.some((prefix) => stream.startsWith(prefix)))
        const caughtUp = next === events.length
        if (found.length > 0 || (caughtUp && !endTold)) {
          endTold = caughtUp
          yield { events: found, caughtUp }
          await turn()
        } else if (page.length === 0) await changed.promise
      }
    } finally {
      running.delete(losing)
      signal.removeEventListener('abort', wake)
    }
  }
  return {
    events,
    follow,
    running: () => running.size,
    append(...prefixesOf: readonly string[]) {
      for (const prefix of prefixesOf) {
        const place = BigInt(events.length)
        events.push({
          id: String(place),
          stream: `${prefix}x`,
          revision: 0,
          position: { commit: place, prepare: place },
          type: 'Told',
          data: {},
          metadata: {},
        })
      }
      tell()
    },
    lose() {
      for (const one of running) one.abort()
      tell()
    },
  }
}

/** Follows as subscriptions do: again from the last event whenever the connection is lost. */
function follower(
  follow: Follow,
  of: readonly string[],
  batchSize = 16,
  before: () => Promise<void> = async () => {},
) {
  const ending = new AbortController()
  const seen: StoredEvent[] = []
  let ends = 0
  let losses = 0
  const done = (async () => {
    while (!ending.signal.aborted) {
      const after = seen.at(-1)?.position
      try {
        const options = { after, prefixes: of, batchSize, signal: ending.signal, onConfirmed: () => {} }
        for await (const batch of follow(options)) {
          seen.push(...batch.events)
          if (batch.caughtUp) ends += 1
          await before()
        }
      } catch {
        losses += 1
      }
    }
  })()
  return {
    seen,
    ends: () => ends,
    losses: () => losses,
    async end() {
      ending.abort()
      await done
    },
  }
}

const idsOf = (events: readonly StoredEvent[], of: readonly string[]) =>
  events.filter(({ stream }) => of.some((prefix) => stream.startsWith(prefix))).map(({ id }) => id)
const ids = (events: readonly StoredEvent[]) => events.map(({ id }) => id)

describe('the shared tail', () => {
  it('reads an event once for all who are at the head, and ends when they have left', async () => {
    const store = openStore()
    store.append('incident-', 'vault-', 'accessKey-', 'incident-')
    const follow = sharedFollow(store.follow, prefixes)
    const all = [prefixes, ['incident-', 'accessKey-'], ['incident-']]
    const followers = all.map((of) => follower(follow, of))
    await waitFor(() => followers.every(({ ends }) => ends() > 0), { describe: 'everybody is at the end' })
    // The last of the first three is of a stream that all follow, so that all are where the tail can take them on.
    await waitFor(() => store.running() === 1, { describe: 'one subscription is left' })
    store.append('incident-', 'vault-', 'accessKey-')
    await waitFor(
      () => followers.every(({ seen }, n) => seen.length === idsOf(store.events, all[n] ?? []).length),
      { describe: 'everybody has theirs' },
    )
    expect(store.running()).toBe(1)
    expect(followers.map(({ seen }) => ids(seen))).toEqual(all.map((of) => idsOf(store.events, of)))
    await Promise.all(followers.map(({ end }) => end()))
    await waitFor(() => store.running() === 0, { describe: 'no subscription is left' })
  })

  it('waits for nobody: who falls behind follows alone, and comes back', async () => {
    const store = openStore()
    store.append('incident-')
    const follow = sharedFollow(store.follow, prefixes)
    const quick = follower(follow, prefixes)
    let gate = Promise.withResolvers<void>()
    gate.resolve()
    const slow = follower(follow, prefixes, 16, () => gate.promise)
    await waitFor(() => slow.ends() > 0 && quick.ends() > 0 && store.running() === 1, {
      describe: 'both share one subscription',
    })
    gate = Promise.withResolvers()
    for (let n = 0; n < 60; n += 1) {
      store.append(...Array.from({ length: 100 }, () => 'incident-'))
      await turn()
    }
    await waitFor(() => quick.seen.length === store.events.length, { describe: 'the quick one has all' })
    expect(slow.seen.length).toBeLessThan(100)
    gate.resolve()
    await waitFor(() => slow.seen.length === store.events.length, { describe: 'the slow one has all' })
    await waitFor(() => store.running() === 1, { describe: 'one subscription is left' })
    for (const { seen } of [quick, slow]) expect(ids(seen)).toEqual(ids(store.events))
    expect(slow.losses()).toBe(0)
    await Promise.all([quick.end(), slow.end()])
  })

  it('tells each follower of a lost connection, and leaves other filters to the store', async () => {
    const store = openStore()
    store.append('incident-')
    const follow = sharedFollow(store.follow, prefixes)
    const followers = [
      follower(follow, prefixes),
      follower(follow, ['incident-']),
      follower(follow, ['request-']),
    ]
    await waitFor(() => store.running() === 2 && followers.every(({ ends }) => ends() > 0), {
      describe: 'two subscriptions are at the end',
    })
    store.lose()
    await waitFor(() => followers.every(({ losses }) => losses() === 1), {
      describe: 'everybody hears of it',
    })
    store.append('incident-')
    await waitFor(() => followers.slice(0, 2).every(({ seen }) => seen.length === 2), {
      describe: 'both have the event',
    })
    await Promise.all(followers.map(({ end }) => end()))
  })

  it('brings everyone each of their events once, in order, whatever is lost and whoever is slow', async () => {
    const step = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.array(fc.constantFrom(...prefixes, 'request-'), { minLength: 1, maxLength: 10 }),
      },
      { weight: 1, arbitrary: fc.constant('lose' as const) },
      { weight: 2, arbitrary: fc.constant('rest' as const) },
    )
    const reader = fc.record({
      of: fc.subarray(prefixes, { minLength: 1 }),
      batchSize: fc.integer({ min: 50, max: 600 }),
      slow: fc.boolean(),
      from: fc.nat(20),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 30 }),
        fc.array(reader, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 40 }),
        async (steps, readers, times) => {
          const store = openStore()
          const follow = sharedFollow(store.follow, prefixes)
          const started: { of: readonly string[]; one: ReturnType<typeof follower> }[] = []
          for (const [n, now] of steps.entries()) {
            for (const { of, batchSize, slow } of readers.filter(({ from }) => from === n)) {
              const before = slow ? () => pause(1) : async () => {}
              started.push({ of, one: follower(follow, of, batchSize, before) })
            }
            if (now === 'lose') store.lose()
            else if (now === 'rest') await pause(1)
            else for (let again = 0; again < times; again += 1) store.append(...now)
            await turn()
          }
          for (const { of, one } of started) {
            const expected = idsOf(store.events, of)
            await waitFor(() => one.seen.length >= expected.length, {
              describe: 'the follower has its events',
            })
            expect(ids(one.seen)).toEqual(expected)
          }
          await Promise.all(started.map(({ one }) => one.end()))
          await waitFor(() => store.running() === 0, { describe: 'no subscription is left' })
        },
      ),
      { numRuns: 40 },
    )
  })
})
