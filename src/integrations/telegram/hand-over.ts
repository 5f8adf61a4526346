import type { Kafka, Producer } from 'kafkajs'
import type { ReportBody } from '../../aggregates/incident/index.ts'
import { LedgerError } from '../../ledger/errors.ts'
import type { IncidentCommands, Keyring } from '../../ledger/ledger.ts'
import { type Provenance, provenanceExtension, vouchFor } from '../provenance.ts'

/** A message that reports an incident. */
export interface ChatReport {
  /** The same at every delivery of the message. */
  readonly id: string
  readonly body: ReportBody
  readonly provenance: Provenance
}

/**
 * Hands a report on, so that it can no longer be lost: resolves when it is kept elsewhere. Handed on again, it changes nothing.
 * @throws NotNow where it has to be tried again; LedgerError where it is refused for good.
 */
export type HandOver = (report: ChatReport) => Promise<void>

/** What has to be handed on cannot be now. The message says why. */
export class NotNow extends Error {
  override readonly name = 'NotNow'
}

/** Where there is no Kafka. */
export function toLedger(incidents: Pick<IncidentCommands, 'report'>): HandOver {
  return async ({ id, body, provenance: { actor, origin, originRef } }) => {
    try {
      await incidents.report(
        { body, origin, originRef },
        {
          actor,
          correlationId: id,
          causationId: id,
          idempotency: { scope: origin, key: id, request: body, pinned: true },
        },
      )
    } catch (error) {
      if (error instanceof LedgerError && passing.has(error.fault.code)) throw new NotNow(error.fault.code)
      throw error
    }
  }
}

const passing: ReadonlySet<string> = new Set([
  'contended',
  'outcome-unknown',
  'event-store-unavailable',
  'ledger-retired',
] satisfies LedgerError['fault']['code'][])

const json = 'application/json'
const reportType = 'IncidentReport'
/** Briefly: what fails for longer is told, and is tried anew. */
const retry = { initialRetryTime: 100, retries: 3 }

/** To incidents.reports, from where the intake takes it. `close` ends the connection. */
export function toKafka(
  kafka: Pick<Kafka, 'producer'>,
  topic: string,
  keyring: Pick<Keyring, 'sign'>,
): { readonly handOver: HandOver; readonly close: () => Promise<void> } {
  const producer: Producer = kafka.producer({ allowAutoTopicCreation: false, retry })
  let connected: Promise<void> | undefined
  return {
    handOver: async (report) => {
      try {
        connected ??= producer.connect()
        await connected
        // -1: of every replica that is in step.
        await producer.send({ topic, acks: -1, messages: [reportMessage(report, keyring)] })
      } catch (error) {
        connected = undefined
        throw new NotNow(error instanceof Error ? error.message : String(error))
      }
    },
    close: () => producer.disconnect(),
  }
}

/** A CloudEvent 1.0 in binary mode. Its id is the message's, by which the intake knows it again. */
export function reportMessage({ id, body, provenance }: ChatReport, keyring: Pick<Keyring, 'sign'>) {
  const source = provenance.origin
  const value = JSON.stringify(body)
  return {
    key: id,
    value,
    headers: {
      'content-type': json,
      ce_specversion: '1.0',
      ce_id: id,
      ce_source: source,
      ce_type: reportType,
      [`ce_${provenanceExtension}`]: vouchFor({ source, id, value }, provenance, keyring),
    },
  }
}
