/** What the read model answers, and the seams between its parts. `openReadModel` in `open.ts` wires them. */
import type { AccessKeyEventType, AccessKeyId } from '../aggregates/access-key/index.ts'
import type {
  Incident,
  IncidentEventType,
  IncidentId,
  Instant,
  Severity,
  Source,
  Status,
} from '../aggregates/incident/index.ts'
import type { Actor, LedgerPosition, RecordedActor } from '../ledger/event.ts'

export interface ReadModel {
  readonly queries: Queries
  readonly announcements: Announcements
  /** Projects until the signal aborts: waits for the leadership, leads, and stands by again when it is lost. */
  readonly project: (signal: AbortSignal) => Promise<void>
  readonly health: () => Promise<ReadModelHealth>
  readonly close: () => Promise<void>
}

export interface ReadModelHealth {
  readonly postgres: { readonly ok: boolean; readonly reason?: string }
  /** `degraded`: answers come from Postgres instead. */
  readonly cache: { readonly state: 'ok' | 'degraded' | 'off'; readonly reason?: string }
  readonly projector: {
    readonly state: 'leading' | 'standby' | 'elsewhere' | 'stopped'
    /** The sentence with which it stopped: a foreign, restored or shorter store. */
    readonly reason?: string
    /** Index of the last event that is projected and announced; -1 for none. */
    readonly announcedIndex: number
    readonly secondsSinceBeat: number | null
    readonly unreadableEvents: number
  }
}

/** The read model cannot answer now. */
export class ReadModelError extends Error {
  override readonly name = 'ReadModelError'
  readonly code: 'read-model-unavailable' | 'query-timeout'

  constructor(code: 'read-model-unavailable' | 'query-timeout', options?: ErrorOptions) {
    super(code, options)
    this.code = code
  }
}

/** Each throws ReadModelError. */
export interface Queries {
  /** Current state by id, through the cache: the JSON of an `Incident`, ready to send. */
  readonly incident: (id: IncidentId) => Promise<StoredIncident | undefined>
  readonly incidents: (query: IncidentsQuery) => Promise<readonly Incident[]>
  readonly events: (query: EventsQuery) => Promise<readonly ListedEvent[]>
  /** Those of access keys among them. */
  readonly ledgerEvents: (query: LedgerEventsQuery) => Promise<readonly LedgerEvent[]>
  readonly stats: (query: StatsQuery) => Promise<Stats>
  /** Revision → index of an incident's events, as far as they are projected. */
  readonly indexesOf: (id: IncidentId) => Promise<ReadonlyMap<number, number>>
}

export interface StoredIncident {
  readonly revision: number
  readonly json: string
}

export type SortKey = 'reportedAt' | '-reportedAt' | 'updatedAt' | '-updatedAt'
/** A moment of the past on one of the two time lines. */
export type PastMoment = { readonly asOf: Instant } | { readonly knownAt: Instant }

/** Filters are joined by AND. `from` (inclusive) and `to` (exclusive) bound reportedAt. */
export interface IncidentsQuery {
  readonly status?: Status
  readonly source?: Source
  readonly severity?: Severity
  readonly assignee?: string
  readonly labels?: Readonly<Record<string, string>>
  /** Words as people type them into a search box; over title and description. */
  readonly q?: string
  readonly from?: Instant
  readonly to?: Instant
  readonly sort: SortKey
  /** 1 to 201. */
  readonly limit: number
  /** The sort key's value and the id of the last item of the page before. */
  readonly after?: { readonly at: Instant; readonly id: IncidentId }
  readonly moment?: PastMoment
}

/** `from` (inclusive) and `to` (exclusive) bound recordedAt. */
export interface EventsQuery {
  readonly actorKind?: Actor['kind']
  readonly actorId?: string
  readonly type?: IncidentEventType
  readonly incidentId?: IncidentId
  readonly from?: Instant
  readonly to?: Instant
  readonly order: 'ascending' | 'descending'
  /** Only events after (ascending) or before (descending) this index. */
  readonly after?: number
  /** 1 to 1,001. */
  readonly limit: number
}

/** Of incidents and of access keys. */
export interface LedgerEventsQuery extends Omit<EventsQuery, 'type'> {
  readonly type?: IncidentEventType | AccessKeyEventType
  readonly accessKeyId?: AccessKeyId
}

export interface ListedEvent {
  /** Place in the ledger: 0, 1, 2 … over all its streams. */
  readonly index: number
  readonly id: string
  readonly incidentId: IncidentId
  readonly revision: number
  readonly type: IncidentEventType
  readonly at: Instant
  readonly recordedAt: Instant
  readonly actor: RecordedActor
  readonly correlationId: string
  readonly data: Readonly<Record<string, unknown>>
  /** The personal fields that were erased, and are null now, `actor.name` among them; absent where none was. */
  readonly erased?: readonly string[]
}

export interface ListedAccessKeyEvent
  extends Pick<ListedEvent, 'index' | 'id' | 'revision' | 'at' | 'recordedAt' | 'correlationId' | 'data'> {
  readonly accessKeyId: AccessKeyId
  readonly type: AccessKeyEventType
  readonly actor: Actor
}

export type LedgerEvent = ListedEvent | ListedAccessKeyEvent

export interface StatsQuery {
  /** Bounds on reportedAt. */
  readonly from?: Instant
  readonly to?: Instant
  readonly moment?: PastMoment
}

interface Durations {
  readonly count: number
  readonly p50Seconds: number | null
  readonly p95Seconds: number | null
}

export interface Stats {
  readonly total: number
  readonly byStatus: Readonly<Record<Status, number>>
  readonly bySource: Readonly<Record<Source, number>>
  readonly bySeverity: Readonly<Record<Severity, number>>
  /** UTC days with at least one report or resolution, newest first, at most 366. */
  readonly byDay: readonly { readonly day: string; readonly reported: number; readonly resolved: number }[]
  /** From report to first leaving `new`. */
  readonly timeToAcknowledge: Durations
  /** From report to the last resolution, of those resolved or closed. */
  readonly timeToResolve: Durations
}

/** How far the read model and the cache are, as every process hears it. */
export interface Announced {
  /** Index of the last announced event; -1 for none. */
  readonly index: number
  readonly position: LedgerPosition
  /** Counts rebuilds: the same index of another generation may read differently. */
  readonly generation: number
}

export interface Announcements {
  /** The latest announcement; undefined while it is not certain to be fresh (then caches keyed by it must be passed over). */
  readonly current: () => Announced | undefined
  /**
   * Whether what was appended at `position` is announced within the time. False at once where waiting is vain: no projector
   * has beaten for 2 s, or it is far behind.
   */
  readonly reached: (position: LedgerPosition, timeoutMs: number) => Promise<boolean>
  /** Calls back after each announcement; returns how to stop that. */
  readonly listen: (listener: (announced: Announced) => void) => () => void
}

/**
 * The cache of incidents by id, as readers see it. A miss hands out a lease, which alone can fill: `fill` with a lease that a
 * newer write, a flush or an eviction has ended is refused, silently. Never throws: a cache that is slow or gone misses.
 */
export interface CacheReader {
  readonly get: (id: IncidentId) => Promise<StoredIncident | CacheMiss>
  readonly fill: (id: IncidentId, lease: string, value: StoredIncident) => Promise<void>
}
export interface CacheMiss {
  readonly missed: true
  /** Absent where the answer must not be kept. */
  readonly lease?: string
}

/** The cache as the leading projector drives it, round each commit. */
export interface CacheWriter {
  /**
   * First act of a new leader: nothing kept by an earlier one can be read any more once this resolves. The cache is then
   * suspended until `resume`. Rejects only when the signal aborts.
   */
  readonly takeOver: (signal: AbortSignal) => Promise<void>
  /**
   * Before the commit: until `refresh`, these incidents are read from Postgres by everyone, and fills are refused. Rejects
   * where that cannot be made sure; the projector must then not commit.
   */
  readonly withhold: (ids: readonly IncidentId[]) => Promise<void>
  /** After the commit. */
  readonly refresh: (entries: ReadonlyMap<IncidentId, StoredIncident>) => Promise<void>
  /** While far behind, keeping the cache is a waste: off until `resume`. */
  readonly suspend: () => Promise<void>
  readonly resume: () => Promise<void>
}
