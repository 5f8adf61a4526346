/** What the ledger offers to the rest of the system. `openLedger` in `open.ts` makes one. */
import type {
  Incident,
  IncidentId,
  Instant,
  ReportBody,
  TimelessCommand,
} from '../aggregates/incident/index.ts'
import type { Actor, IncidentRecord, LedgerPosition, LedgerRecord } from './event.ts'

export interface Ledger {
  readonly incidents: IncidentCommands
  readonly history: IncidentHistory
  readonly subscribe: Subscribe
  readonly readAt: ReadAt
  readonly keyring: Keyring
  /** Whether the event store answered lately, and what it said if not. Never throws. */
  readonly health: (
    timeoutMs: number,
  ) => Promise<{ readonly ok: true } | { readonly ok: false; readonly reason: string }>
  readonly close: () => Promise<void>
}

/** Who asks, why, and how to know the same request again. */
export interface CommandContext {
  readonly actor: Actor
  /** At most 255 characters. */
  readonly correlationId: string
  readonly causationId?: string
  readonly traceparent?: string
  /** When it happened, for imports; absent: now. */
  readonly at?: Instant
  readonly idempotency?: {
    /** What the key is unique within: an access key's id, a Kafka report's source. */
    readonly scope: string
    readonly key: string
    /** Method, route and body: what makes two requests the same. Hashed as canonical JSON. */
    readonly request: unknown
  }
  /** If-Match. */
  readonly expectedRevision?: number
}

export interface CommandAnswer {
  /**
   * created: a new incident. joined: an open one with the same external key took the report in. changed: events were
   * appended. unchanged: it was so already. A repetition gets what the first got.
   */
  readonly outcome: 'created' | 'joined' | 'changed' | 'unchanged'
  /** As it stood when the (first) answer was given. */
  readonly incident: Incident
  /** The events that the command appended; none for joined and unchanged. */
  readonly records: readonly IncidentRecord[]
  /** Where the read model must be to show this answer. */
  readonly position: LedgerPosition
}

/** Every method throws LedgerError. */
export interface IncidentCommands {
  readonly report: (
    report: { readonly body: ReportBody; readonly origin: string; readonly originRef?: string },
    context: CommandContext,
  ) => Promise<CommandAnswer>
  readonly change: (
    id: IncidentId,
    command: Exclude<TimelessCommand, { type: 'Report' }>,
    context: CommandContext,
  ) => Promise<CommandAnswer>
}

/** Which part of an incident's history is meant. `asOf`: what had happened; `knownAt`: what this ledger knew. */
export type Moment =
  | { readonly asOf: Instant }
  | { readonly knownAt: Instant }
  | { readonly revision: number }

/** Reads from the event store, at most 10,000 events an incident. Every method throws LedgerError. */
export interface IncidentHistory {
  /** All events, oldest first; `incident-not-found` where there are none. */
  readonly events: (id: IncidentId) => Promise<readonly IncidentRecord[]>
  /** `provisional`: the moment is so young that events may still be added before it. */
  readonly stateAt: (
    id: IncidentId,
    moment: Moment,
  ) => Promise<{ readonly incident: Incident; readonly provisional: boolean }>
}

/**
 * The events of the ledger streams in order, in batches of what has arrived (1 to `batchSize`), from after `after` (absent:
 * from the first) until the signal aborts. Reconnects by itself, with backoff, without a gap or a double. `caughtUp` is true
 * on a batch after which nothing more was waiting.
 * Throws only for what waiting cannot mend.
 */
export type Subscribe = (options: {
  readonly after?: LedgerPosition | undefined
  readonly batchSize: number
  readonly signal: AbortSignal
  /** Told when the connection is lost and when it is back. */
  readonly onConnection?: (connected: boolean) => void
}) => AsyncIterable<{ readonly records: readonly LedgerRecord[]; readonly caughtUp: boolean }>

/** The event at exactly this position of $all, or undefined where there is none. Throws `event-store-unavailable`. */
export type ReadAt = (position: LedgerPosition) => Promise<LedgerRecord | undefined>

/** What is derived from LEDGER_SECRET. */
export interface Keyring {
  /** HMAC-SHA-256 under the current secret for a purpose, 32 bytes. */
  readonly mac: (purpose: string, data: string | Uint8Array) => Buffer
  /** `<version>.<base64url>` of `mac`, and its check against any known version, in constant time. */
  readonly sign: (purpose: string, data: string) => string
  readonly verify: (purpose: string, data: string, signature: string) => boolean
}
