import type { Message as KafkaMessage } from 'kafkajs'
import { z } from 'zod'
import {
  type IncidentEventType,
  incidentEventTypes,
  readEventData,
  reportBody,
} from '../../aggregates/incident/index.ts'
import { eventAttributes, rejectionHeaders, statusReport, structuredReport } from '../kafka/intake/schemas.ts'
import { eventMessage, stateMessage } from '../kafka/messages.ts'
import { positionMessage, positionValue } from '../kafka/position.ts'
import { reportMessage } from '../telegram/hand-over.ts'
import * as examples from './examples.ts'
import { headersOf, type JsonSchema, jsonSchemaOf } from './json-schema.ts'

/** The shapes in which GET /events and GET /incidents/{id} show an event and an incident: Kafka carries the same. */
export interface Shown {
  readonly event: z.ZodObject
  readonly incident: z.ZodObject
}

export interface MessageDescription {
  readonly name: string
  readonly title: string
  readonly summary: string
  readonly contentType?: string
  readonly headers?: JsonSchema
  readonly payload: JsonSchema
  /** Kafka's key. */
  readonly key: JsonSchema
  readonly examples: readonly { readonly headers?: object; readonly payload: unknown }[]
}

const json = 'application/json'
const incidentKey = { type: 'string', format: 'uuid', description: 'The id of the incident.' } as const

const eventHeaders = z.object({
  'content-type': z.literal(json),
  ce_specversion: z.literal('1.0'),
  ce_id: z.uuid().describe('The id of the event, the same wherever it is found.'),
  ce_source: z.literal('/incidents'),
  ce_subject: z.uuid().describe('The id of the incident.'),
  ce_time: z.iso.datetime().describe('When it happened.'),
  ce_sequence: z
    .string()
    .regex(/^\d+$/)
    .describe('The revision of the incident, dense from 0: a gap shows that an event is missing.'),
  ce_ledgerindex: z.string().regex(/^\d+$/).describe('The place of the event in the ledger.'),
  ce_traceparent: z.string().optional().describe('W3C Trace Context of the request.'),
  traceparent: z.string().optional().describe('The same, where tracing libraries look for it.'),
})

/** Of incidents.events, one for each type of event. */
export function eventMessages({ event }: Shown): MessageDescription[] {
  return incidentEventTypes.map((type) => ({
    name: type,
    title: titleOf(type),
    summary: 'A CloudEvent 1.0 in binary mode. The value is the event as GET /events shows it.',
    contentType: json,
    headers: headersOf(eventHeaders.extend({ ce_type: z.literal(type) })),
    payload: jsonSchemaOf(event.extend({ type: z.literal(type), data: readEventData(type) })),
    key: incidentKey,
    examples: examples.records
      .filter((record) => record.event.type === type)
      .map((record) => exampleOf(eventMessage(record, examples.indexOf(record)))),
  }))
}

/** Of incidents.state. */
export function stateMessages({ incident }: Shown): MessageDescription[] {
  const value = incident.extend({ index: z.int().min(0).describe('Of the last event that is in it.') })
  return [
    {
      name: 'IncidentState',
      title: 'An incident as it is now',
      summary:
        'The latest record of a key holds. The value is the incident as GET /incidents/{id} shows it, and an index.',
      contentType: json,
      headers: headersOf(z.object({ 'content-type': z.literal(json) })),
      payload: jsonSchemaOf(value),
      key: incidentKey,
      examples: [exampleOf(stateMessage(examples.incident, examples.lastIndex))],
    },
  ]
}

/** Of incidents.publisher. */
export function positionMessages(): MessageDescription[] {
  return [
    {
      name: 'PublisherPosition',
      title: 'How far the publisher is',
      summary:
        'Written in the transaction that writes the records. Of interest to the service itself, and to whoever repairs it.',
      contentType: json,
      payload: jsonSchemaOf(positionValue),
      key: { type: 'string', const: 'position' },
      examples: [exampleOf(positionMessage(examples.position))],
    },
  ]
}

const reportHeaders = (): JsonSchema => {
  const { properties = {}, required = [] } = headersOf(eventAttributes, 'ce_')
  return {
    type: 'object',
    properties: { 'content-type': { type: 'string', description: 'Absent counts as JSON.' }, ...properties },
    // Plain JSON has none of them; a CloudEvent has all that CloudEvents asks for.
    dependencies: Object.fromEntries(Object.keys(properties).map((name) => [name, required])),
  }
}
const reportKey = {
  type: 'string',
  description: 'Records of one key are taken in their order. May be absent.',
} as const

/** Of incidents.reports. */
export function reportMessages(): MessageDescription[] {
  const common = { contentType: json, headers: reportHeaders(), key: reportKey }
  return [
    {
      ...common,
      name: 'IncidentReport',
      title: 'A report',
      summary: 'The body of POST /incidents, as plain JSON or as a CloudEvent 1.0 in binary mode.',
      payload: jsonSchemaOf(reportBody),
      examples: [
        { headers: { 'content-type': json }, payload: examples.report },
        exampleOf(reportMessage(examples.chatReport, examples.keyring)),
      ],
    },
    {
      ...common,
      name: 'StatusReport',
      title: 'A change of status',
      summary: 'Of the last incident that was reported on Kafka under the external key.',
      payload: jsonSchemaOf(statusReport),
      examples: [{ headers: examples.binaryHeaders, payload: examples.statusReport }],
    },
    {
      name: 'StructuredReport',
      title: 'A report or a change of status, with its CloudEvent in one',
      summary: 'A CloudEvent 1.0 in structured mode, in its JSON format.',
      contentType: 'application/cloudevents+json',
      payload: jsonSchemaOf(structuredReport),
      key: reportKey,
      examples: [{ payload: examples.structuredReport }],
    },
  ]
}

/** Of incidents.reports.rejected. */
export function rejectionMessages(): MessageDescription[] {
  return [
    {
      name: 'RejectedReport',
      title: 'What could not be taken',
      summary:
        'Key, headers and value as they came in, and headers that say why. Drop repeats by rejected-topic, -partition and -offset.',
      headers: headersOf(rejectionHeaders),
      payload: { description: 'The bytes that came in.' },
      key: { description: 'The key that came in.' },
      examples: [{ headers: examples.rejectionHeaders, payload: examples.rejectedValue }],
    },
  ]
}

function exampleOf({
  headers,
  value,
}: Pick<KafkaMessage, 'value'> & { readonly headers?: object | undefined }) {
  return { ...(headers && { headers }), payload: JSON.parse(String(value)) as unknown }
}

/** `IncidentNoteAdded`: Incident note added */
function titleOf(type: IncidentEventType): string {
  const [first = '', ...rest] = type.split(/(?=[A-Z])/)
  return [first, ...rest.map((word) => word.toLowerCase())].join(' ')
}
