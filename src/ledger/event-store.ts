/** The event store as the ledger needs it. `connection.ts` makes one of EventStoreDB; tests make one in memory. */
import type { LedgerPosition } from './event.ts'

export interface EventStore {
  /**
   * One attempt to append at exactly `expectedRevision` (−1: the stream must not exist yet). To repeat it with the same ids at
   * the same revision is safe: it is appended once. Never throws.
   */
  readonly append: (
    stream: string,
    events: readonly ProposedEvent[],
    expectedRevision: number,
    timeoutMs: number,
  ) => Promise<AppendAttempt>
  /** Oldest first; none where there is no such stream. Throws `event-store-unavailable`. */
  readonly readStream: (
    stream: string,
    range: { readonly fromRevision?: number; readonly maxCount: number },
    timeoutMs: number,
  ) => Promise<readonly StoredEvent[]>
  /** The stream's newest event; undefined where there is no such stream. Throws `event-store-unavailable`. */
  readonly readLast: (stream: string, timeoutMs: number) => Promise<StoredEvent | undefined>
  /** The event at exactly this position of $all. Throws `event-store-unavailable`. */
  readonly readAt: (position: LedgerPosition, timeoutMs: number) => Promise<StoredEvent | undefined>
  /**
   * The events of the streams with one of the prefixes, from after `after`, until the signal aborts; with `types`, those that are called
   * so, of whatever stream. Each batch tells whether
   * the end was reached; an empty one only tells that. Throws when the connection is lost.
   */
  readonly follow: (options: {
    readonly after: LedgerPosition | undefined
    readonly prefixes: readonly string[]
    readonly types?: readonly string[] | undefined
    readonly batchSize: number
    readonly signal: AbortSignal
    readonly onConfirmed: () => void
  }) => AsyncIterable<{ readonly events: readonly StoredEvent[]; readonly caughtUp: boolean }>
  readonly close: () => Promise<void>
}

/** An event to append. Data and metadata are known to be plain JSON. */
export interface ProposedEvent {
  readonly id: string
  readonly type: string
  readonly data: Readonly<Record<string, unknown>>
  readonly metadata: Readonly<Record<string, unknown>>
}

/** An event as it was read. What its data and metadata are is for the codec to find out. */
export interface StoredEvent {
  readonly id: string
  readonly stream: string
  readonly revision: number
  readonly position: LedgerPosition
  readonly type: string
  /** Bytes where they are no JSON by their content type; a string where they should be and are not. */
  readonly data: unknown
  /** Bytes where they are no JSON. */
  readonly metadata: unknown
}

export type AppendAttempt =
  /** `position`: of the last event. */
  | { readonly outcome: 'appended'; readonly position: LedgerPosition }
  /** The stream is at another revision, and these events are not in it. */
  | { readonly outcome: 'conflict' }
  /** The store will not take it, now or later: nothing was appended by this attempt. */
  | { readonly outcome: 'refused'; readonly reason: string }
  /** The ledger lives in another store now, or is being moved there: nothing was appended by this attempt. */
  | { readonly outcome: 'retired'; readonly to: string }
  /** It was not sent. */
  | { readonly outcome: 'unsent'; readonly reason: string }
  /** It was sent, and no answer came. */
  | { readonly outcome: 'unknown'; readonly reason: string }
