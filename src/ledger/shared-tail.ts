/**
 * One subscription for all of a process who are at the head of the store. Who is behind follows the store alone; at the end of it they go
 * on with the events that the one subscription brings to all. So an event is read once, however many wait for it.
 */
import type { LedgerPosition } from './event.ts'
import type { EventStore, StoredEvent } from './event-store.ts'
import { advancing, isBeyond } from './subscription.ts'

type Follow = EventStore['follow']
type FollowOptions = Parameters<Follow>[0]

/** Who has fallen further behind follows the store alone again: nobody is waited for. */
const keptEvents = 1_024
const batchSize = 512

/** `follow` of the store, shared where what is followed are streams with some of these prefixes. */
export function sharedFollow(follow: Follow, prefixes: readonly string[]): Follow {
  let newest: Tail | undefined

  return (options) => {
    const isOfTail = !options.types && options.prefixes.every((prefix) => prefixes.includes(prefix))
    return isOfTail ? followed(options) : follow(options)
  }

  async function* followed(options: FollowOptions): ReturnType<Follow> {
    const { signal } = options
    let last = options.after
    while (!signal.aborted) {
      let tail: Tail | undefined
      try {
        for await (const batch of follow({ ...options, after: last })) {
          last = batch.events.at(-1)?.position ?? last
          yield batch
          if (batch.caughtUp && last) tail = joined(last)
          if (tail) break
        }
        if (!tail || !last) return
        for await (const batch of tail.after(last, options)) {
          last = batch.events.at(-1)?.position ?? last
          yield batch
        }
      } finally {
        tail?.leave()
      }
    }
  }

  /** Undefined where the tail has left this place behind. */
  function joined(position: LedgerPosition): Tail | undefined {
    if (newest === undefined || newest.isOver()) newest = openTail(follow, prefixes, position)
    return newest.join(position) ? newest : undefined
  }
}

type Tail = ReturnType<typeof openTail>

/** It is over when its connection is lost, or when all who joined have left. */
function openTail(follow: Follow, prefixes: readonly string[], from: LedgerPosition) {
  const ending = new AbortController()
  /** In their order, and all there are beyond `floor` up to what was read. */
  let kept: StoredEvent[] = []
  let floor = from
  let caughtUp = true
  let failure: { readonly error: unknown } | undefined
  let followers = 0
  let changed = Promise.withResolvers<void>()
  void read()

  async function read(): Promise<void> {
    const options = { after: from, prefixes, batchSize, signal: ending.signal, onConfirmed: () => {} }
    try {
      for await (const batch of follow(options)) {
        caughtUp = batch.caughtUp
        keep(batch.events)
        tell()
      }
      failure = { error: new Error('the subscription has ended') }
    } catch (error) {
      failure = { error }
    }
    tell()
  }

  function keep(events: readonly StoredEvent[]): void {
    kept.push(...advancing(events, kept.at(-1)?.position ?? floor))
    if (kept.length <= 2 * keptEvents) return
    const dropped = kept.length - keptEvents
    floor = kept[dropped - 1]?.position ?? floor
    kept = kept.slice(dropped)
  }

  function tell(): void {
    changed.resolve()
    changed = Promise.withResolvers()
  }

  /** Whether no event after this place is missed by who goes on here. */
  const reaches = (position: LedgerPosition) => !isBeyond(floor, position)

  return {
    isOver: () => failure !== undefined || ending.signal.aborted,
    join(position: LedgerPosition): boolean {
      if (!reaches(position)) return false
      followers += 1
      return true
    },
    leave(): void {
      followers -= 1
      if (followers === 0) ending.abort()
    },
    /** As `follow`, for who has joined and knows that it is at the end. Ends where it has fallen behind. */
    async *after(
      position: LedgerPosition,
      { prefixes, batchSize, signal }: FollowOptions,
    ): ReturnType<Follow> {
      let last = position
      let toldEnd = true
      signal.addEventListener('abort', tell)
      try {
        while (!signal.aborted && reaches(last)) {
          const next = kept.findLastIndex((event) => !isBeyond(event.position, last)) + 1
          const taken = kept.slice(next, next + batchSize)
          const isEnd = caughtUp && next + taken.length === kept.length
          last = taken.at(-1)?.position ?? last
          const events = taken.filter(({ stream }) => prefixes.some((prefix) => stream.startsWith(prefix)))
          if (events.length > 0 || (isEnd && !toldEnd)) {
            toldEnd = isEnd
            yield { events, caughtUp: isEnd }
          } else if (taken.length === 0) {
            if (failure) throw failure.error
            await changed.promise
          }
        }
      } finally {
        signal.removeEventListener('abort', tell)
      }
    },
  }
}
