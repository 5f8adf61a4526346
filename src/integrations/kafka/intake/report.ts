import { createHash } from 'node:crypto'
import type { IHeaders } from 'kafkajs'
import type { z } from 'zod'
import { type ReportBody, reportBody } from '../../../aggregates/incident/index.ts'
import type { CommandContext, Keyring } from '../../../ledger/ledger.ts'
import { type Provenance, vouchedFor } from '../../provenance.ts'
import { type Envelope, openEnvelope } from './envelope.ts'
import { Rejection, schemaRejection } from './rejection.ts'
import { statusReport, valueBytesAtMost } from './schemas.ts'

/** A record of incidents.reports. */
export interface ReportRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: string
  /** Milliseconds since the Unix epoch. */
  readonly timestamp: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers?: IHeaders | undefined
}

/** What a record asks of the ledger. */
export interface Report {
  readonly asks: { readonly report: ReportBody } | { readonly change: z.output<typeof statusReport> }
  readonly origin: string
  readonly originRef?: string | undefined
  readonly context: CommandContext
}

export interface ReadingTerms {
  /** Of the Kafka cluster. Offsets are its own. */
  readonly clusterId: string
  readonly keyring: Pick<Keyring, 'verify'>
}

/** Of all that comes in by Kafka and that no integration of ours vouches for. Their external keys are one space. */
const origin = 'kafka'

/**
 * Reads what a record asks. Who is behind it and where it came from, no record can say for itself; only what this ledger's own
 * integrations vouched for is believed.
 * @throws Rejection
 */
export function readReport(record: ReportRecord, terms: ReadingTerms): Report {
  const { value, headers, topic } = record
  if (value === null) throw new Rejection('no-value', 'The record has no value, so it reports nothing.')
  if (value.length > valueBytesAtMost) {
    throw new Rejection('too-large', `The value has ${value.length} bytes; ${valueBytesAtMost} are the most.`)
  }
  const envelope = openEnvelope(value, headers)
  const vouched = vouchedProvenance(envelope, value, terms)
  const asks = askedIn(envelope.value)
  const { id, scope, key } = identityOf(record, envelope, vouched, terms)
  const traceparent = [envelope.traceparent, envelope.attributes?.traceparent].find(
    (trace) => trace !== undefined && wellFormedTrace.test(trace),
  )
  return {
    asks,
    origin: vouched?.origin ?? origin,
    originRef: vouched?.originRef,
    context: {
      actor: vouched?.actor ?? { kind: 'kafka', id: topic, name: topic },
      correlationId: envelope.attributes?.correlationid ?? id,
      causationId: id,
      idempotency: { scope, key, request: 'report' in asks ? asks.report : asks.change, pinned: true },
      ...(traceparent !== undefined && { traceparent }),
    },
  }
}

/** Only a change of status has a `status`: a report's is `new`. */
function askedIn(value: unknown): Report['asks'] {
  if (typeof value === 'object' && value !== null && 'status' in value) {
    const { success, data, error } = statusReport.safeParse(value)
    if (success) return { change: data }
    throw schemaRejection('invalid-report', 'The change of status', error.issues)
  }
  const { success, data, error } = reportBody.safeParse(value)
  if (success) return { report: data }
  throw schemaRejection('invalid-report', 'The report', error.issues)
}

interface Identity {
  /** What the events that follow from it name as their cause. */
  readonly id: string
  readonly scope: string
  readonly key: string
}

/** The same whenever the record is delivered. The scopes of the three kinds begin differently, and like none of an access key. */
function identityOf(
  { topic, partition, offset, timestamp, value }: ReportRecord,
  { attributes }: Envelope,
  vouched: Provenance | undefined,
  { clusterId }: ReadingTerms,
): Identity {
  if (attributes) {
    const { id, source } = attributes
    // As where the integration gives its reports to the ledger directly.
    return { id, scope: vouched ? vouched.origin : `kafka-event:${source}`, key: id }
  }
  const hash = createHash('sha256')
    .update(value ?? '')
    .digest('hex')
  return {
    id: `${topic}/${partition}/${offset}`,
    scope: `kafka-record:${clusterId}`,
    // A topic that was deleted and made again counts from 0 again.
    key: JSON.stringify([topic, partition, offset, timestamp, hash]),
  }
}

function vouchedProvenance(
  { attributes }: Envelope,
  value: Buffer,
  { keyring }: ReadingTerms,
): Provenance | undefined {
  if (attributes?.ledgerprovenance === undefined) return undefined
  const { source, id, ledgerprovenance } = attributes
  const vouched = vouchedFor({ source, id, value }, ledgerprovenance, keyring)
  if (vouched) return vouched
  throw new Rejection(
    'foreign-provenance',
    'Its ledgerprovenance was not made by this ledger for this report. Leave it out.',
  )
}

/** W3C Trace Context, version 00 and what is compatible with it. Another form is none, as the specification asks. */
const wellFormedTrace = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/
