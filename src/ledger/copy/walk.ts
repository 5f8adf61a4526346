import type { LedgerPosition } from '../event.ts'
import { isLedgerStream, orderedPrefixes } from '../streams.ts'
import type { RawEvent, RawStore } from './raw-store.ts'
import type { Survey } from './survey.ts'

/** Goes along two stores in step: what the target has must be what the source has first, and the rest is appended to it. */
export interface Walk {
  /**
   * To the source's end as it is now. Throws Error of one line where the target has something else, `event-store-unavailable`,
   * `outcome-unknown`, and what the signal aborts with; then another walk goes on from what the target has.
   */
  readonly advance: (onEvents: (passed: number) => void) => Promise<void>
  /** Events that this walk appended. */
  readonly copied: () => number
  /** Events of deleted ledger streams: without them, those that follow have other indexes. */
  readonly leftOut: () => number
}

const pageSize = 2_000
/** EventStoreDB refuses an append above 1 MiB; of each event it counts more than its bytes. */
const mostEventsPerAppend = 500
const mostBytesPerAppend = 800_000

/**
 * One append at a time, each event after the one before it is in the store: so the target holds a beginning of the ledger at every moment,
 * in the ledger's order, wherever it is interrupted. Neighbours of one stream go together.
 */
export function openWalk(
  {
    source,
    target,
    survey,
  }: { readonly source: RawStore; readonly target: RawStore; readonly survey: Survey },
  signal: AbortSignal,
): Walk {
  const found = eventsOf(target, signal)
  let targetEnded = false
  let after: LedgerPosition | undefined
  let passed = 0
  let copied = 0
  let leftOut = 0

  async function nextFound(): Promise<RawEvent | undefined> {
    if (targetEnded) return undefined
    const { value, done } = await found.next()
    if (!done) return value
    targetEnded = true
    return undefined
  }

  return {
    advance: async (onEvents) => {
      for (;;) {
        signal.throwIfAborted()
        const page = await source.readAll({ after, prefixes: orderedPrefixes, maxCount: pageSize })
        const living = page.filter(survey.isAlive)
        leftOut += page.filter((event) => isLedgerStream(event.stream) && !survey.isAlive(event)).length
        const fresh: RawEvent[] = []
        for (const event of living) {
          const there = await nextFound()
          if (!there) fresh.push(event)
          else if (!isSame(there, event)) throw new Error(differs(there, event))
        }
        passed += page.length - fresh.length
        onEvents(passed)
        for (const group of neighbours(fresh)) {
          signal.throwIfAborted()
          await appendGroup(group)
          passed += group.length
          onEvents(passed)
        }
        after = page.at(-1)?.position ?? after
        if (page.length === pageSize) continue
        const more = await nextFound()
        if (more) throw new Error(surplus(more))
        return
      }
    },
    copied: () => copied,
    leftOut: () => leftOut,
  }

  async function appendGroup(group: readonly RawEvent[]): Promise<void> {
    const [first] = group
    if (!first) return
    const appended = await target.append(first.stream, group, first.revision - 1)
    if (appended === 'conflict') {
      throw new Error(
        `the target does not take event ${first.revision} of ${first.stream} at its revision: another program writes there, or the stream was truncated at the source`,
      )
    }
    copied += group.length
  }
}

async function* eventsOf(store: RawStore, signal: AbortSignal): AsyncGenerator<RawEvent, undefined> {
  let after: LedgerPosition | undefined
  for (;;) {
    signal.throwIfAborted()
    const page = await store.readAll({ after, prefixes: orderedPrefixes, maxCount: pageSize })
    yield* page
    after = page.at(-1)?.position
    if (page.length < pageSize) return undefined
  }
}

/** Events that follow one another in one stream, as many together as one append may have. */
function neighbours(events: readonly RawEvent[]): readonly (readonly RawEvent[])[] {
  const groups: RawEvent[][] = []
  let bytes = 0
  for (const event of events) {
    const group = groups.at(-1)
    const last = group?.at(-1)
    const size = event.data.length + event.metadata.length + 2 * event.type.length
    const follows = last?.stream === event.stream && last.revision + 1 === event.revision
    if (group && follows && group.length < mostEventsPerAppend && bytes + size <= mostBytesPerAppend) {
      group.push(event)
      bytes += size
    } else {
      groups.push([event])
      bytes = size
    }
  }
  return groups
}

function isSame(a: RawEvent, b: RawEvent): boolean {
  return (
    a.id === b.id &&
    a.stream === b.stream &&
    a.revision === b.revision &&
    a.type === b.type &&
    a.contentType === b.contentType &&
    Buffer.compare(a.data, b.data) === 0 &&
    Buffer.compare(a.metadata, b.metadata) === 0
  )
}

function differs(there: RawEvent, event: RawEvent): string {
  return `the target is no copy of the source: it has event ${there.revision} of ${there.stream} (${there.id}) where the source has event ${event.revision} of ${event.stream} (${event.id}); begin anew with an empty event store`
}

function surplus(there: RawEvent): string {
  return `the target is no copy of the source: it has event ${there.revision} of ${there.stream} (${there.id}), which the source has not; begin anew with an empty event store`
}
