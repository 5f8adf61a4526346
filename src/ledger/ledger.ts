/** What the ledger offers to the rest of the system. `openLedger` in `open.ts` makes one. */
import type {
  AccessKey,
  AccessKeyEvent,
  AccessKeyId,
  IssueBody,
  KeyRevisionBody,
} from '../aggregates/access-key/index.ts'
import type {
  Incident,
  IncidentId,
  Instant,
  Refusal,
  ReportBody,
  TimelessCommand,
} from '../aggregates/incident/index.ts'
import type { Checkpoints } from './checkpoints.ts'
import type { Disclosures } from './codec.ts'
import type { Entries } from './entries.ts'
import type { Actor, IncidentRecord, LedgerPosition, LedgerRecord } from './event.ts'

export interface Ledger {
  readonly incidents: IncidentCommands
  readonly importIncident: ImportIncident
  readonly history: IncidentHistory
  /** A moment younger than this may still gain events: they are decided, but not appended yet. */
  readonly provisionalMs: number
  readonly accessKeys: AccessKeyRegister
  readonly subscribe: Subscribe
  readonly readAt: ReadAt
  readonly entries: Entries
  readonly checkpoints: Checkpoints
  readonly findCopied: FindCopied
  readonly keyring: Keyring
  /** Finishes what a crash left undone of an erasure: removes the keys that it gave up, where they are still there. Throws LedgerError. */
  readonly completeErasure: (keyIds: readonly string[]) => Promise<void>
  readonly rewrapKeys: RewrapKeys
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
    /** Answers that append nothing are to be remembered as well (a Kafka report). Costs an append more. */
    readonly pinned?: boolean
  }
  /** If-Match. */
  readonly expectedRevision?: number
}

/** What the command wrote. Where in $all is told of the last one only: `CommandAnswer.position`. */
export type AppendedRecord = Omit<IncidentRecord, 'position'>

export interface CommandAnswer {
  /**
   * created: a new incident. joined: an open one with the same external key took the report in. changed: events were
   * appended. unchanged: it was so already. A repetition gets what the first got.
   */
  readonly outcome: 'created' | 'joined' | 'changed' | 'unchanged'
  /** As it stood when the (first) answer was given. */
  readonly incident: Incident
  /** The events that the command appended; none for joined and unchanged. */
  readonly records: readonly AppendedRecord[]
  /** Where the read model must be to show this answer. */
  readonly position: LedgerPosition
}

/** Every method throws LedgerError. */
export interface IncidentCommands {
  readonly report: (
    report: { readonly body: ReportBody; readonly origin: string; readonly originRef?: string },
    context: CommandContext,
  ) => Promise<CommandAnswer>
  readonly change: (id: IncidentId, command: ChangeCommand, context: CommandContext) => Promise<CommandAnswer>
  /** Changes the last of the incidents that the origin reported under the key; `incident-not-found` where there is none. */
  readonly changeLatest: (
    reported: { readonly origin: string; readonly externalKey: string },
    command: ChangeCommand,
    context: CommandContext,
  ) => Promise<CommandAnswer>
}

export type ChangeCommand = Exclude<TimelessCommand, { type: 'Report' }>

/**
 * Takes in the history that an incident has elsewhere, its steps in order. What an earlier run took is skipped: to import the
 * same again appends nothing. A step that cannot be done is told and left out; the ones after it are still tried.
 * Throws LedgerError where the store fails; then a part of the steps may be in, and importing again takes the rest.
 */
export type ImportIncident = (incident: ImportedIncident) => Promise<ImportAnswer>

export interface ImportedIncident {
  /** Where it comes from, and what it is called there: its identity for ever. */
  readonly origin: string
  readonly externalKey: string
  readonly correlationId: string
  /** The first one reports it. */
  readonly steps: readonly ImportStep[]
}

export interface ImportStep {
  /** Strictly ascending within the incident, and the same at every run. */
  readonly ordinal: number
  readonly at: Instant
  readonly actor: Actor
  /** Taken all or none. */
  readonly commands: readonly ImportCommand[]
}

export type ImportCommand =
  | { readonly type: 'Report'; readonly body: Omit<ReportBody, 'externalKey'> }
  | ChangeCommand

export interface ImportAnswer {
  readonly id: IncidentId
  readonly eventsAppended: number
  /** After the last step; undefined where not even the report could be taken. */
  readonly incident: Incident | undefined
  readonly steps: readonly ImportStepAnswer[]
}

export type ImportStepAnswer = { readonly ordinal: number } & (
  | {
      readonly outcome: 'appended'
      /** The time it was kept under; not the step's own where that was clamped. */
      readonly at: Instant
    }
  /** It was so already. */
  | { readonly outcome: 'unchanged' }
  /** An earlier run took it, or one that came after it. */
  | { readonly outcome: 'skipped' }
  | { readonly outcome: 'refused'; readonly refusal: Refusal }
)

/** Which part of an incident's history is meant. `asOf`: what had happened; `knownAt`: what this ledger knew. */
export type Moment =
  | { readonly asOf: Instant }
  | { readonly knownAt: Instant }
  | { readonly revision: number }

/** Reads from the event store, at most 10,000 events an incident. Every method throws LedgerError. */
export interface IncidentHistory {
  /** All events, oldest first; `incident-not-found` where there are none. */
  readonly events: (id: IncidentId) => Promise<readonly IncidentRecord[]>
  /**
   * What proves the personal text of each event, oldest first, by field (`actor.name` among them); `{}` where it was erased. `incident-not-found`.
   * Throws BrokenSeal where a text or a commitment was altered.
   */
  readonly disclosures: (id: IncidentId) => Promise<readonly Disclosures[]>
  /** `provisional`: the moment is so young that events may still be added before it. */
  readonly stateAt: (
    id: IncidentId,
    moment: Moment,
  ) => Promise<{ readonly incident: Incident; readonly provisional: boolean }>
}

/**
 * The events of the ledger streams in order, in batches of what has arrived (at most `batchSize`), from after `after` (absent:
 * from the first) until the signal aborts. Reconnects by itself, with backoff, without a gap or a double. `caughtUp` is true
 * on a batch after which nothing more was waiting; a batch without records says just that, where no event was left to say it.
 * Throws only for what waiting cannot mend.
 */
export type Subscribe = (options: {
  readonly after?: LedgerPosition | undefined
  readonly batchSize: number
  readonly signal: AbortSignal
  /** Told when the connection is lost and when it is back. */
  readonly onConnection?: (connected: boolean) => void
}) => AsyncIterable<{ readonly records: readonly LedgerRecord[]; readonly caughtUp: boolean }>

/**
 * Wraps every data key that is still under an older secret under the current one, while everything else goes on. Ends when a whole pass over
 * the vaults finds none left; interrupted, it goes on where it was when it is called again. Returns how many vaults it wrote anew.
 * Throws LedgerError; an Error of one line where a key does not open under any secret that is known.
 */
export type RewrapKeys = (options: {
  readonly signal: AbortSignal
  readonly onProgress?: (vaults: number) => void
}) => Promise<number>

/** The event at exactly this position of $all, or undefined where there is none. Throws `event-store-unavailable`. */
export type ReadAt = (position: LedgerPosition) => Promise<LedgerRecord | undefined>

/**
 * Where in this event store the event is that has this index in the ledger, where the ledger was copied here from another one: positions
 * differ from store to store, indexes do not. Undefined where this is no copy, or has another event at the index. Reads the ledger from its
 * beginning, tens of thousands of events a second. Throws `event-store-unavailable`, and what the signal aborts with.
 */
export type FindCopied = (
  place: { readonly index: number; readonly eventId: string },
  signal: AbortSignal,
) => Promise<LedgerPosition | undefined>

/** Who may open the service. Every command throws LedgerError. */
export interface AccessKeyRegister {
  readonly issue: (body: IssueBody, context: KeyContext) => Promise<IssuedAccessKey>
  readonly revise: (id: AccessKeyId, body: KeyRevisionBody, context: KeyContext) => Promise<AccessKey>
  /** Of a key that is revoked already: as it is. */
  readonly revoke: (id: AccessKeyId, context: KeyContext) => Promise<AccessKey>
  /** As `Subscribe`, of the events of access keys only. One that this version cannot read is passed over, and logged. */
  readonly follow: (
    options: Omit<Parameters<Subscribe>[0], 'after'>,
  ) => AsyncIterable<{ readonly records: readonly AccessKeyRecord[]; readonly caughtUp: boolean }>
}

/** Who asks, and why. */
export type KeyContext = Pick<CommandContext, 'actor' | 'correlationId' | 'causationId' | 'traceparent'>

/** The two secrets are shown this once. Neither is kept: of the key there is a hash, and the other can be derived again. */
export interface IssuedAccessKey {
  readonly accessKey: AccessKey
  /** 32 characters of 0-9 A-Z a-z. */
  readonly key: string
  /** 43 characters: what signed requests are signed with. */
  readonly signingSecret: string
}

export interface AccessKeyRecord {
  readonly keyId: AccessKeyId
  readonly event: AccessKeyEvent
  /** Of the event within the key's own history. */
  readonly revision: number
}

/** What is derived from LEDGER_SECRET. */
export interface Keyring {
  /** HMAC-SHA-256 under the current secret for a purpose, 32 bytes. */
  readonly mac: (purpose: string, data: string | Uint8Array) => Buffer
  /** The same under every known secret, the current one first. */
  readonly everyMac: (purpose: string, data: string | Uint8Array) => readonly Buffer[]
  /**
   * A secret encrypted for a purpose and a place (AES-256-GCM, the place as associated data): `<version>.<base64url>`, with the version of
   * the ledger's secret that it is under.
   */
  readonly wrap: (purpose: string, place: string, secret: Uint8Array) => string
  /** Whether it was wrapped under the current secret. */
  readonly isCurrent: (wrapped: string) => boolean
  /** Undefined where it does not open: altered, of another place, or under a secret that is not known. */
  readonly unwrap: (purpose: string, place: string, wrapped: string) => Buffer | undefined
  /** `<version>.<base64url>` of `mac`, and its check against any known version, in constant time. */
  readonly sign: (purpose: string, data: string) => string
  readonly verify: (purpose: string, data: string, signature: string) => boolean
}
