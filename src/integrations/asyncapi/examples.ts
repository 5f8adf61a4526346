/** The one story that the examples of the AsyncAPI document tell. */
import {
  evolve,
  type Incident,
  type IncidentEvent,
  type IncidentState,
  incidentId,
  instant,
  isReported,
  reportBody,
  unreported,
} from '../../aggregates/incident/index.ts'
import type { IncidentRecord } from '../../ledger/event.ts'
import type { RejectionHeaders } from '../kafka/intake/schemas.ts'
import type { Position } from '../kafka/position.ts'
import type { ChatReport } from '../telegram/hand-over.ts'

const id = incidentId.parse('01980d5e-5c00-7000-8000-5f0e1c2d3a4b')
const eventIds = [
  'b1c52f60-6f31-4c6e-9d5e-0f2b7a1f3c10',
  'b1c52f60-6f31-4c6e-9d5e-0f2b7a1f3c11',
  'b1c52f60-6f31-4c6e-9d5e-0f2b7a1f3c12',
  'b1c52f60-6f31-4c6e-9d5e-0f2b7a1f3c13',
  'b1c52f60-6f31-4c6e-9d5e-0f2b7a1f3c14',
  'b1c52f60-6f31-4c6e-9d5e-0f2b7a1f3c15',
  'b1c52f60-6f31-4c6e-9d5e-0f2b7a1f3c16',
]
const firstIndex = 41
const minute = (number: number) => instant.parse(`2026-01-31T14:0${number}:10.000Z`)
const happened = (number: number) => ({ at: minute(number), recordedAt: minute(number) })

export const report = {
  description: 'Since the 14:00 deployment one request in five to /checkout answers 502.',
  source: 'monitoring',
  severity: 'high',
  externalKey: 'alert-checkout-5xx',
  labels: { service: 'checkout', region: 'eu-1' },
}

const events: readonly IncidentEvent[] = [
  {
    type: 'IncidentReported',
    data: {
      title: 'Checkout answers 502',
      description: report.description,
      severity: 'high',
      source: 'monitoring',
      origin: 'kafka',
      externalKey: report.externalKey,
      assignee: null,
      labels: report.labels,
      occurredAt: minute(2),
    },
    ...happened(3),
  },
  { type: 'IncidentAssigned', data: { from: null, to: 'payments-on-call' }, ...happened(4) },
  {
    type: 'IncidentStatusChanged',
    data: { from: 'new', to: 'in_progress', reason: 'Rolling the deployment back.' },
    ...happened(5),
  },
  { type: 'IncidentSeverityChanged', data: { from: 'high', to: 'critical' }, ...happened(6) },
  { type: 'IncidentDetailsAmended', data: { labels: { service: 'checkout' } }, ...happened(7) },
  {
    type: 'IncidentNoteAdded',
    data: {
      noteId: '01980d62-1b7e-7c44-8d0a-5e6f7a8b9c0d',
      text: 'Half of the pods are back on the old version.',
    },
    ...happened(8),
  },
]
const erasure: IncidentEvent = {
  type: 'IncidentPersonalDataErased',
  data: { reason: 'Request 2026-17 of a customer.' },
  ...happened(9),
}

export const records: readonly IncidentRecord[] = [...events, erasure].map((event, revision) => ({
  kind: 'incident',
  id: eventIds[revision] ?? '',
  stream: `incident-${id}`,
  revision,
  position: { commit: BigInt(12_000 + revision), prepare: BigInt(12_000 + revision) },
  incidentId: id,
  keyId: '01980d5e-5c00-7000-8000-000000000001.7',
  event,
  metadata: {
    $correlationId: '6a4f2d0e-4c39-4e0a-8a55-1d1f7c0b9e21',
    actor: { kind: 'access-key', id: 'x-access-key', name: 'X_ACCESS_KEY' },
    at: event.at,
    recordedAt: event.recordedAt,
    schemaVersion: 1,
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  },
}))

export const lastIndex = firstIndex + events.length - 1
export const indexOf = ({ revision }: IncidentRecord) => firstIndex + revision

export const incident: Incident = (() => {
  const state = events.reduce<IncidentState>((before, event) => evolve(id, before, event), unreported)
  if (!isReported(state)) throw new Error('the example is of no incident')
  return state
})()

export const position: Position = {
  index: lastIndex,
  position: { commit: 12_005n, prepare: 12_005n },
  eventId: 'b1c52f60-6f31-4c6e-9d5e-0f2b7a1f3c15',
  partitions: { events: 6, state: 6 },
}

export const statusReport = {
  externalKey: report.externalKey,
  status: 'resolved',
  reason: 'No 502 for ten minutes.',
}

export const binaryHeaders = {
  'content-type': 'application/json',
  ce_specversion: '1.0',
  ce_id: 'resolved-4711',
  ce_source: '/monitoring/eu-1',
  ce_type: 'org.example.alert',
}

export const structuredReport = {
  specversion: '1.0',
  id: 'fired-4711',
  source: '/monitoring/eu-1',
  type: 'org.example.alert',
  data: report,
}

export const chatReport: ChatReport = {
  id: 'qpUbJ4T0d8yS1Yk3mP6wXcVbN9aEzRtGhLfDsQ2uIoM',
  body: reportBody.parse({ description: 'The lift in B stands still', source: 'operator' }),
  provenance: {
    actor: { kind: 'telegram', id: 'yS1Yk3mP6wXcVbN9aEzRtGhLfDsQ2uIoMqpUbJ4T0d8', name: 'Ada Lovelace' },
    origin: 'telegram:7001',
    originRef: '-1001234567890/42',
  },
}

/** No ledger's: the example's signature is of no use. */
export const keyring = { sign: () => '1.3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }

export const rejectionHeaders: RejectionHeaders = {
  'rejected-reason': 'not-json',
  'rejected-detail': 'The value is not well-formed JSON.',
  'rejected-topic': 'incidents.reports',
  'rejected-partition': '3',
  'rejected-offset': '1027',
  'rejected-timestamp': '1769868190000',
}
export const rejectedValue = '{"description": "The lift'
