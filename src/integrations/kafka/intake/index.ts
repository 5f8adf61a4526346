import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { IncidentCommands, Keyring } from '../../../ledger/ledger.ts'
import { connectKafka, type KafkaSettings } from '../connection.ts'
import { TopicUnfit } from '../topics.ts'
import { type Membership, runMembership } from './membership.ts'

/** Takes what comes in on incidents.reports into the ledger. */
export interface Intake {
  /** Takes reports until the signal aborts, and then finishes those that are under way. Whatever can pass is waited for. */
  readonly take: (signal: AbortSignal) => Promise<void>
  readonly health: () => IntakeHealth
}

export interface IntakeHealth {
  /**
   * `paused`: reports wait where they are until what the reason says has passed. `waiting`: for Kafka. `stopped`: waiting will not
   * help.
   */
  readonly state: 'taking' | 'paused' | 'waiting' | 'stopped'
  readonly reason?: string
  /** Reports that the ledger took, and records that were rejected, by this process since its start. */
  readonly taken: number
  readonly rejected: number
  /** Records that no process has done with yet, on all partitions; null where Kafka does not say. */
  readonly lag: number | null
}

/** About 3 s: what fails for longer is told, and is begun anew. So a stop does not wait long for Kafka either. */
const retry = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 5 }
const joinAgainMs = 1_000
/** What stopped it is looked at again after this, for an operator who has mended it. */
const lookAgainMs = 5_000

/** @throws Error where the settings name files that cannot be read. */
export function openIntake(options: {
  readonly settings: KafkaSettings
  readonly ledger: {
    readonly incidents: Pick<IncidentCommands, 'report' | 'changeLatest'>
    readonly keyring: Pick<Keyring, 'verify'>
  }
  readonly log: Logger
}): Intake {
  const { settings, ledger, log } = options
  const { topicPrefix } = settings
  const kafka = connectKafka(settings, log, retry)
  let standing: Pick<IntakeHealth, 'state' | 'reason'> = {
    state: 'waiting',
    reason: 'the intake is starting',
  }
  let taken = 0
  let rejected = 0
  let lag: number | null = null

  const stand = (state: IntakeHealth['state'], reason?: string) => {
    if (state !== standing.state) {
      if (reason === undefined) log.info('reports from Kafka are being taken')
      else log.warn({ state, reason }, 'reports from Kafka are not being taken')
    }
    standing = { state, ...(reason !== undefined && { reason }) }
  }
  const membership: Membership = {
    ...{ kafka, topicPrefix, ledger, log },
    onJoined: () => stand('taking'),
    onPaused: (reason) => (reason === undefined ? stand('taking') : stand('paused', reason)),
    onTaken: () => {
      taken += 1
    },
    onRejected: () => {
      rejected += 1
    },
    onLag: (records) => {
      lag = records
    },
  }
  return {
    take: async (signal) => {
      while (!signal.aborted) {
        try {
          await runMembership(membership, signal)
        } catch (error) {
          if (signal.aborted) break
          const unfit = error instanceof TopicUnfit
          stand(unfit ? 'stopped' : 'waiting', error instanceof Error ? error.message : String(error))
          await delay(unfit ? lookAgainMs : joinAgainMs, undefined, { signal }).catch(() => {})
        }
      }
    },
    health: () => ({ ...standing, taken, rejected, lag }),
  }
}
