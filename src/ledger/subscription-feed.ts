import {
  type AllStreamSubscription,
  type EventStoreDBClient,
  eventTypeFilter,
  type ResolvedEvent,
  START,
  streamNameFilter,
} from '@eventstore/db-client'
import type { LedgerPosition } from './event.ts'
import type { EventStore, StoredEvent } from './event-store.ts'

/** Times 32 events considered. Checkpoints are not used: they run ahead of what was consumed. */
const checkpointInterval = 1_000

/** One subscription to $all, for as long as its connection lasts. */
export async function* followed(
  client: EventStoreDBClient,
  { after, prefixes, types, batchSize, signal, onConfirmed }: Parameters<EventStore['follow']>[0],
): ReturnType<EventStore['follow']> {
  if (signal.aborted) return
  const subscription = client.subscribeToAll(
    {
      fromPosition: after ? { commit: after.commit, prepare: after.prepare } : START,
      filter: types
        ? eventTypeFilter({ prefixes: [...types], checkpointInterval })
        : streamNameFilter({ prefixes: [...prefixes], checkpointInterval }),
    },
    { highWaterMark: batchSize },
  )
  const tidings = listenTo(subscription, signal, onConfirmed)
  try {
    let endTold = false
    while (!signal.aborted) {
      const events = taken(subscription, batchSize)
      // `caughtUp` is heard before the events that came ahead of it are taken.
      const caughtUp = tidings.caughtUp && subscription.readableLength === 0
      if (events.length > 0 || (caughtUp && !endTold)) {
        endTold = caughtUp
        yield { events, caughtUp }
      } else if (tidings.failure) {
        throw tidings.failure
      } else {
        await tidings.next()
      }
    }
  } finally {
    // Leaving the loop ends nothing on the server; and a call that never came to be cannot be cancelled.
    subscription.unsubscribe().catch(() => {})
    subscription.destroy()
  }
}

/** What the subscription tells, as it stands, and a way to wait until that changes. */
function listenTo(subscription: AllStreamSubscription, signal: AbortSignal, onConfirmed: () => void) {
  let wake = () => {}
  const tidings = {
    caughtUp: false,
    failure: undefined as Error | undefined,
    next: () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      wake = resolve
      return promise
    },
  }
  const tell = (change: Partial<typeof tidings>) => {
    Object.assign(tidings, change)
    wake()
  }
  subscription
    .on('readable', () => wake())
    .on('confirmation', onConfirmed)
    .on('error', (failure: Error) => tell({ failure }))
    .on('end', () => tell({ failure: new Error('the event store ended the subscription') }))
  subscription
    .on('caughtUp', () => tell({ caughtUp: true }))
    .on('fellBehind', () => tell({ caughtUp: false }))
  signal.addEventListener('abort', () => wake(), { once: true })
  return tidings
}

function taken(subscription: AllStreamSubscription, batchSize: number): StoredEvent[] {
  const events: StoredEvent[] = []
  while (events.length < batchSize) {
    const next: ResolvedEvent | null = subscription.read()
    if (next === null) break
    events.push(storedEvent(next))
  }
  return events
}

/** The event as the client hands it out. Throws where the server is too old (before 22.6) to say positions. */
export function storedEvent({ event: resolved, link, commitPosition }: ResolvedEvent): StoredEvent {
  const event = resolved ?? link
  const position: LedgerPosition | undefined =
    event?.position ??
    (commitPosition === undefined ? undefined : { commit: commitPosition, prepare: commitPosition })
  if (!event || !position) throw new Error('the event store handed out an event without its position')
  return {
    id: event.id,
    stream: event.streamId,
    revision: Number(event.revision),
    position,
    type: event.type,
    data: event.data,
    metadata: event.metadata,
  }
}
