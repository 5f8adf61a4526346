import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Kafka, type KafkaConfig, type RetryOptions } from 'kafkajs'
import type { Logger } from 'pino'

/** How a Kafka cluster is reached. */
export interface KafkaSettings {
  /** host:port of some of its brokers. */
  readonly brokers: readonly string[]
  /** Absent: plain TCP. Files are PEM; without a CA file the system's authorities hold. */
  readonly tls?: {
    readonly caFile?: string | undefined
    readonly certificateFile?: string | undefined
    readonly keyFile?: string | undefined
  }
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
    readonly username: string
    readonly password: string
  }
  /** Before every topic, group and transactional id of ours, so that several ledgers can share a cluster. May be empty. */
  readonly topicPrefix: string
}

const clientId = 'incident-ledger'
const connectionTimeoutMs = 3_000
const requestTimeoutMs = 15_000

/**
 * A client of the cluster; it connects when what it makes does. What it logs is for debugging: kafkajs calls an error what it
 * then retries, as with each transaction that follows another at once, and what it cannot mend its caller hears and tells.
 *
 * @throws Error where a file of `tls` cannot be read.
 */
export function connectKafka(
  { brokers, tls, sasl }: KafkaSettings,
  log: Logger,
  /** How long it tries before it fails; absent: as kafkajs does, 10 s to connect. */
  retry?: RetryOptions,
): Kafka {
  calmTimers()
  const config: KafkaConfig = {
    clientId,
    brokers: [...brokers],
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs,
    ...(retry && { retry }),
    logCreator: () => (entry) => {
      const { message, logger: _logger, timestamp: _timestamp, stack: _stack, ...details } = entry.log
      log.debug({ ...details, kafka: entry.namespace }, message)
    },
  }
  if (tls) {
    const { caFile, certificateFile, keyFile } = tls
    config.ssl = {
      ...(caFile !== undefined && { ca: readFileSync(caFile, 'utf8') }),
      ...(certificateFile !== undefined && { cert: readFileSync(certificateFile, 'utf8') }),
      ...(keyFile !== undefined && { key: readFileSync(keyFile, 'utf8') }),
    }
  }
  if (sasl) config.sasl = saslOf(sasl)
  return new Kafka(config)
}

/** kafkajs's type tells the mechanisms apart. */
function saslOf({
  mechanism,
  username,
  password,
}: NonNullable<KafkaSettings['sasl']>): NonNullable<KafkaConfig['sasl']> {
  switch (mechanism) {
    case 'plain':
      return { mechanism, username, password }
    case 'scram-sha-256':
      return { mechanism, username, password }
    case 'scram-sha-512':
      return { mechanism, username, password }
  }
}

interface RequestQueue {
  throttleCheckTimeoutId: NodeJS.Timeout | null
  readonly throttledUntil: number
  readonly pending: readonly unknown[]
  checkPendingRequests(): void
}

const throttleCheckMs = 10

/**
 * A connection of kafkajs 2.2.4, once used, wakes up a thousand times a second to look for requests that were held back, whether
 * there are any or not: about 3 % of a core, idle. It needs to only while there are some; all others are sent where they are
 * made. No option changes that.
 */
function calmTimers(): void {
  const { prototype }: { prototype: RequestQueue & { scheduleCheckPendingRequests(): void } } = createRequire(
    import.meta.url,
  )('kafkajs/src/network/requestQueue/index.js')
  prototype.scheduleCheckPendingRequests = function () {
    if (this.throttleCheckTimeoutId || this.pending.length === 0) return
    const waitMs = this.throttledUntil - Date.now()
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null
        this.checkPendingRequests()
      },
      waitMs > 0 ? waitMs : throttleCheckMs,
    )
  }
}
