import { CloudEvent, Kafka } from 'cloudevents'
import type { IHeaders, Message } from 'kafkajs'
import type { Incident } from '../../aggregates/incident/index.ts'
import type { IncidentRecord } from '../../ledger/event.ts'
import { incidentJson } from '../../projections/incident-rows.ts'
import { listedEvent } from '../../projections/listed-event.ts'

/** What the CloudEvents' `source` is; with it an event's id, a UUID, is unique. */
const source = '/incidents'
const json = 'application/json'

/**
 * An incident's event for incidents.events: a CloudEvent 1.0 in binary mode (CloudEvents' Kafka protocol binding, 3.2). Its value is the
 * event as GET /events shows it. `sequence` is the extension of that name; `ledgerindex` is ours; a `traceparent` is
 * given as the extension and as the header that tracing libraries look for.
 */
export function eventMessage(record: IncidentRecord, index: number): Message {
  const { id, incidentId, revision, event, metadata } = record
  const { traceparent } = metadata
  const shown = listedEvent(record, index)
  const cloudEvent = new CloudEvent({
    id,
    source,
    type: event.type,
    subject: incidentId,
    time: event.at,
    datacontenttype: json,
    sequence: String(revision),
    ledgerindex: String(index),
    ...(traceparent !== undefined && { traceparent }),
    data: shown,
  })
  const { headers } = Kafka.binary(cloudEvent)
  return {
    key: incidentId,
    value: JSON.stringify(shown),
    headers: { ...sendable(headers), ...(traceparent !== undefined && { traceparent }) },
  }
}

/** An incident for incidents.state, as GET /incidents/{id} shows it, and the index of its last event. */
export function stateMessage(incident: Incident, index: number): Message {
  return {
    key: incident.id,
    value: `${incidentJson(incident).slice(0, -1)},"index":${index}}`,
    headers: { 'content-type': json },
  }
}

/** kafkajs sends text only. `ce_datacontenttype` says what `content-type` says; the binding has the latter alone. */
function sendable(headers: Readonly<Record<string, unknown>>): IHeaders {
  const text: IHeaders = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && name !== 'ce_datacontenttype') text[name] = String(value)
  }
  return text
}
