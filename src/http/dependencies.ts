import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { Entries } from '../ledger/entries.ts'
import type { AccessKeyRegister, IncidentCommands, IncidentHistory, Keyring } from '../ledger/ledger.ts'
import type { AccessKeyDirectory } from '../projections/access-key-directory.ts'
import type { NotaryHealth } from '../projections/notary/open.ts'
import type { SignedLog } from '../projections/notary/signed-log.ts'
import type { Announcements, Queries, ReadModelHealth } from '../projections/read-model.ts'
import type { AccessKeys } from './access-keys.ts'
import type { RateLimitOptions } from './rate-limits.ts'
import type { Nonces } from './signed-requests/nonces.ts'

/** What the HTTP layer speaks to. All of it is owned, and closed, by whoever calls `buildApp`. */
export interface HttpDependencies extends MonitoringDependencies {
  readonly incidents: Pick<IncidentCommands, 'report' | 'change'>
  readonly history: IncidentHistory
  readonly queries: Queries
  readonly announcements: Announcements
  /** Where the keys of the ledger are issued and revoked, and the ones there are. */
  readonly register: Pick<AccessKeyRegister, 'issue' | 'revise' | 'revoke'>
  readonly directory: Pick<AccessKeyDirectory, 'all' | 'byId' | 'shown'>
  readonly keyring: Pick<Keyring, 'everyMac' | 'sign' | 'verify'>
  readonly entries: Pick<Entries, 'ofIncident'>
  readonly signedLog: SignedLog
  /** Whether what carries no secret is open to callers without a key. */
  readonly ledgerPublic: boolean
  /** What comes and goes by Kafka, as an AsyncAPI document. */
  readonly asyncApi: object
}

/** What it takes to say how a process is. */
export interface MonitoringDependencies {
  /** Who may enter. */
  readonly accessKeys: AccessKeys
  readonly nonces: Pick<Nonces, 'use'>
  readonly keyring: Pick<Keyring, 'everyMac'>
  /** Where requests are counted for all processes together; absent: each counts for itself. */
  readonly rateRedis?: RateLimitOptions['redis']
  /** Addresses or networks whose X-Forwarded-For says where a request comes from. */
  readonly trustedProxies?: readonly string[] | undefined
  readonly health: () => Promise<HealthReport>
  readonly metrics: Registry
  readonly logger: Logger
  /** Names that the Host header may have beside those of loopback: PUBLIC_URL's, a HOST that is a name. */
  readonly hostNames: readonly string[]
  /** Where browsers find the service, if not at the Host they send: a page of this origin is none of a stranger's. */
  readonly publicOrigin?: string | undefined
  /** Milliseconds since the Unix epoch. */
  readonly clock: () => number
  readonly version: string
  readonly limits?: Partial<HttpLimits> | undefined
}

export interface HealthReport {
  readonly eventStore: { readonly ok: boolean; readonly reason?: string }
  readonly readModel: ReadModelHealth
  readonly notary: NotaryHealth
  /** Of the events to Kafka. Absent where this process publishes none. */
  readonly publisher?:
    | {
        readonly state: 'leading' | 'standby' | 'waiting' | 'stopped'
        readonly reason?: string
        readonly publishedIndex: number | null
      }
    | undefined
  /** Of the reports from Kafka. Absent where this process takes none. */
  readonly intake?:
    | {
        readonly state: 'taking' | 'paused' | 'waiting' | 'stopped'
        readonly reason?: string
        readonly taken: number
        readonly rejected: number
        readonly lag: number | null
      }
    | undefined
}

/** Events that queries show and Kafka does not have yet; null where this process does not know. */
export function unpublishedEvents({ readModel, publisher }: HealthReport): number | null {
  if (publisher === undefined || publisher.publishedIndex === null || publisher.state === 'standby')
    return null
  return Math.max(0, readModel.projector.announcedIndex - publisher.publishedIndex)
}

export interface HttpLimits {
  readonly bodyBytes: number
  /** Request line and headers together. */
  readonly headerBytes: number
  /** For the headers, and for the whole request, to arrive. */
  readonly requestTimeoutMs: number
  /** A connection on which nothing moves is cut off. */
  readonly idleTimeoutMs: number
  /** How often overdue requests are looked for. */
  readonly timeoutCheckMs: number
  /** How long an answer waits for the read model to show what was written. */
  readonly visibilityMs: number
  /** How long a proof waits for the newest event to be signed. */
  readonly signingMs: number
  /** A past moment younger than this may still gain events: the ledger's append deadline and a second. */
  readonly provisionalMs: number
  readonly pageCacheBytes: number
  readonly eventStreams: number
  /** Events kept for streams that follow live. */
  readonly eventRing: number
  readonly heartbeatMs: number
  /** A stream's reader who takes nothing for so long is cut off. */
  readonly slowReaderMs: number
  /** Wrong keys and signatures from one address within a minute. */
  readonly refusalsPerMinute: number
  /** How long an address with more of them waits for each answer. */
  readonly floodDelayMs: number
  /** Requests under one access key within a minute; undefined: as many as it likes. */
  readonly requestsPerMinute: number | undefined
  /** With such a wait for its turn, a new request is refused. */
  readonly overloadDelayMs: number
}

export const defaultLimits: HttpLimits = {
  bodyBytes: 1024 * 1024,
  headerBytes: 16 * 1024,
  requestTimeoutMs: 30_000,
  idleTimeoutMs: 75_000,
  timeoutCheckMs: 5_000,
  visibilityMs: 1_000,
  signingMs: 2_000,
  provisionalMs: 6_000,
  pageCacheBytes: 32 * 1024 * 1024,
  eventStreams: 256,
  eventRing: 4_096,
  heartbeatMs: 15_000,
  slowReaderMs: 10_000,
  refusalsPerMinute: 60,
  floodDelayMs: 250,
  requestsPerMinute: undefined,
  overloadDelayMs: 1_000,
}
