import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { IncidentHistory, Ledger } from '../../ledger/ledger.ts'
import { runProjector } from '../../projections/projector.ts'
import { ProjectorStopped } from '../../projections/projector-stopped.ts'
import { connectKafka, type KafkaSettings } from './connection.ts'
import { publication } from './publication.ts'

export interface Publisher {
  /** Publishes until the signal aborts: waits for the leadership, leads, and stands by again when it is lost. */
  readonly publish: (signal: AbortSignal) => Promise<void>
  readonly health: () => PublisherHealth
}

export interface PublisherHealth {
  /** `waiting`: for Kafka, or for what the reason says. `stopped`: waiting will not help. */
  readonly state: 'leading' | 'standby' | 'waiting' | 'stopped'
  readonly reason?: string
  /** Index of the last event that is in Kafka, as far as this process has seen; -1 for none, null where it has not led yet. */
  readonly publishedIndex: number | null
}

/** What stopped it is looked at again after this, for an operator who has mended it. */
const lookAgainMs = 5_000

/**
 * The publisher of the ledger's incident events to Kafka: each exactly once for who reads committed records.
 * @throws Error where the settings name files that cannot be read.
 */
export function openPublisher(options: {
  readonly settings: KafkaSettings
  readonly databaseUrl: string
  readonly ledger: Pick<Ledger, 'subscribe' | 'readAt' | 'findCopied'> & {
    readonly history: Pick<IncidentHistory, 'events'>
  }
  readonly log: Logger
}): Publisher {
  const { settings, databaseUrl, ledger, log } = options
  const kafka = connectKafka(settings, log)
  let role: 'leading' | 'standby' = 'standby'
  let trouble: { readonly state: 'waiting' | 'stopped'; readonly reason: string } | undefined
  let publishedIndex: number | null = null

  const projection = publication({
    kafka,
    topicPrefix: settings.topicPrefix,
    log,
    history: ledger.history,
    onPublished: (index) => {
      publishedIndex = index
      trouble = undefined
    },
    onFailure: (error) => {
      // What stops it is told below, and goes on being told while it is looked at again.
      if (error instanceof ProjectorStopped || trouble?.state === 'stopped') return
      trouble = { state: 'waiting', reason: error instanceof Error ? error.message : String(error) }
    },
  })
  const onState = (state: typeof role) => {
    role = state
  }
  return {
    async publish(signal) {
      while (!signal.aborted) {
        try {
          await runProjector(projection, { databaseUrl, ledger, signal, log, onState })
        } catch (error) {
          if (!(error instanceof ProjectorStopped)) throw error
          if (trouble?.reason !== error.message) log.error(error.message)
          trouble = { state: 'stopped', reason: error.message }
          role = 'standby'
          await delay(lookAgainMs, undefined, { signal }).catch(() => {})
        }
      }
    },
    health: () => ({ state: role, ...trouble, publishedIndex }),
  }
}
