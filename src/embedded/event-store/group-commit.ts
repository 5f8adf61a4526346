import type { WriteOutcome } from './event-log.ts'
import type { EventWriter } from './event-writer.ts'
import type { ProposedEvent, RecordedEvent } from './events.ts'
import type { LiveTail } from './live-tail.ts'
import type { RecentIds } from './recent-ids.ts'
import type { StreamHeads } from './stream-heads.ts'

/** The writes that wait for the next transaction, and what becomes of them when it cannot be made. */
export interface GroupCommit {
  readonly hasPending: boolean
  /** Gives an event the next position of the log. */
  stage(
    event: ProposedEvent,
    place: Pick<RecordedEvent, 'streamName' | 'revision' | 'createdMs'>,
  ): RecordedEvent
  /** Resolves to the outcome once what was staged for it is on the disk, or to a refusal. */
  settle(outcome: WriteOutcome): Promise<WriteOutcome>
  /** Commits what is pending now instead of at the end of the turn. */
  commit(): void
  /** Refuses all that is pending: half a write, which `error` has left behind, cannot be taken back out of it. */
  abandon(error: unknown): void
  /** Why nothing can be written at present, if so. */
  refusal(): WriteOutcome | undefined
  /** Commits what is pending; afterwards every write is refused. */
  finish(): void
}

/** A batch is committed at the latest when it has this many writes or events or bytes, so that its memory has a bound. */
const BATCH_WRITES = 2048
const BATCH_EVENTS = 2048
const BATCH_BYTES = 8 * 1024 * 1024

/** How often a log that could not write tries whether it can again. */
const PROBE_INTERVAL_MS = 500

interface Settlement {
  readonly settle: (outcome: WriteOutcome) => void
  readonly outcome: WriteOutcome
}

/** Commits all writes of one turn of the event loop together: many writes, one transaction, one fsync. */
export function createGroupCommit(
  writer: EventWriter,
  tail: LiveTail,
  heads: StreamHeads,
  recentIds: RecentIds,
): GroupCommit {
  let position = tail.lastPosition
  let events: RecordedEvent[] = []
  let bytes = 0
  let settlements: Settlement[] = []
  let scheduled: NodeJS.Immediate | undefined
  let failure: string | undefined
  let probing: NodeJS.Timeout | undefined
  let isFinished = false

  function commit(): void {
    if (scheduled !== undefined) clearImmediate(scheduled)
    scheduled = undefined
    if (settlements.length === 0) return
    const batch = takePending()
    let erased = false
    try {
      erased = writer.commit(batch.events, heads.takeChanges())
    } catch (error) {
      fail(error, batch.settlements)
      return
    }
    tail.publish(batch.events)
    if (erased) tail.forget()
    for (const { settle, outcome } of batch.settlements) settle(outcome)
  }

  function takePending() {
    const pending = { events, settlements }
    events = []
    bytes = 0
    settlements = []
    return pending
  }

  function fail(error: unknown, refused: readonly Settlement[]): void {
    failure = error instanceof Error ? error.message : String(error)
    if (!isFinished) probing ??= setInterval(probe, PROBE_INTERVAL_MS).unref()
    for (const { settle } of refused) settle(storageRefusal())
  }

  /** After a failed write nothing in memory is to be believed: all of it is read again from what is committed. */
  function probe(): void {
    if (!writer.probe()) return
    try {
      heads.reset()
      recentIds.reset()
    } catch {
      return
    }
    position = tail.lastPosition
    failure = undefined
    clearInterval(probing)
    probing = undefined
  }

  function storageRefusal(): WriteOutcome {
    return { kind: 'refused', reason: 'storage', message: `the log cannot be written to: ${failure}` }
  }

  return {
    get hasPending() {
      return settlements.length > 0
    },
    stage(event, place) {
      position += 1
      const recorded = { ...event, ...place, position }
      events.push(recorded)
      bytes += event.data.length + event.metadata.length
      return recorded
    },
    settle: (outcome) =>
      new Promise((settle) => {
        settlements.push({ settle, outcome })
        const isFull =
          settlements.length >= BATCH_WRITES || events.length >= BATCH_EVENTS || bytes >= BATCH_BYTES
        if (isFull) commit()
        else scheduled ??= setImmediate(commit)
      }),
    commit,
    abandon: (error) => fail(error, takePending().settlements),
    refusal() {
      if (isFinished) return { kind: 'refused', reason: 'closing', message: 'the node is stopping' }
      return failure === undefined ? undefined : storageRefusal()
    },
    finish() {
      commit()
      isFinished = true
      clearInterval(probing)
    },
  }
}
