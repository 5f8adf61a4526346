/** The rows of the read model's tables, and an incident's way into them and back. Columns have the tables' names. */
import type { Incident, IncidentEvent, Instant, Labels } from '../aggregates/incident/index.ts'
import type { Actor, IncidentRecord, UnreadableRecord } from '../ledger/event.ts'

/** An incident as the read model keeps it. */
export interface Standing {
  readonly incident: Incident
  /** The revision that last set title, description or labels. */
  readonly detailsRevision: number
}

interface Identity {
  readonly id: Incident['id']
  readonly source: Incident['source']
  readonly origin: string
  readonly origin_ref: string | null
  readonly external_key: string | null
  readonly occurred_at: Instant
  readonly reported_at: Instant
}

/** What events change, but for the details. */
interface Progress {
  readonly status: Incident['status']
  readonly severity: Incident['severity']
  readonly assignee: string | null
  readonly details_revision: number
  readonly acknowledged_at: Instant | null
  readonly resolved_at: Instant | null
  readonly reopen_count: number
  readonly erased: Incident['erased'] | null
}

interface Details {
  readonly title: string | null
  readonly description: string | null
  readonly labels: Labels
}

export interface IncidentRow extends Identity, Progress {
  readonly updated_at: Instant
  readonly recorded_at: Instant
  readonly revision: number
}

export interface DetailsRow extends Details {
  readonly incident_id: Incident['id']
  readonly revision: number
}

interface Place {
  readonly index: number
  /** Decimal: they may be greater than a double can hold. */
  readonly commit: string
  readonly prepare: string
  readonly id: string
}

export interface EventRow extends Place, Progress {
  readonly incident_id: Incident['id']
  readonly revision: number
  readonly type: IncidentEvent['type']
  readonly at: Instant
  readonly recorded_at: Instant
  readonly actor_kind: Actor['kind']
  readonly actor_id: string
  readonly actor_name: string | null
  readonly correlation_id: string
  readonly data: IncidentEvent['data']
  readonly erased_fields: readonly string[] | null
}

export interface UnreadableRow extends Place {
  readonly stream: string
  readonly revision: number
  readonly type: string
  readonly reason: string
}

export function incidentRow(standing: Standing): IncidentRow {
  const { incident } = standing
  return {
    id: incident.id,
    source: incident.source,
    origin: incident.origin,
    origin_ref: incident.originRef,
    external_key: incident.externalKey,
    occurred_at: incident.occurredAt,
    reported_at: incident.reportedAt,
    updated_at: incident.updatedAt,
    recorded_at: incident.recordedAt,
    revision: incident.revision,
    ...progress(standing),
  }
}

export function detailsRow({ id, revision, title, description, labels }: Incident): DetailsRow {
  return { incident_id: id, revision, title, description, labels }
}

/** `standing`: as it was after this event. */
export function eventRow(record: IncidentRecord, index: number, standing: Standing): EventRow {
  const { incidentId, revision, event, metadata } = record
  return {
    ...place(record, index),
    incident_id: incidentId,
    revision,
    type: event.type,
    at: event.at,
    recorded_at: event.recordedAt,
    actor_kind: metadata.actor.kind,
    actor_id: metadata.actor.id,
    actor_name: metadata.actor.name,
    correlation_id: metadata.$correlationId,
    data: event.data,
    erased_fields: event.erased ?? null,
    ...progress(standing),
  }
}

export function unreadableRow(
  record: UnreadableRecord | IncidentRecord,
  index: number,
  reason: string,
): UnreadableRow {
  const { stream, revision } = record
  const type = record.kind === 'incident' ? record.event.type : record.type
  return { ...place(record, index), stream, revision, type, reason }
}

/** The columns of `incident` and of the `incident_details` that hold. */
export interface CurrentRow extends IncidentRow, Details {}

export function standingOf(row: CurrentRow): Standing {
  const incident = {
    id: row.id,
    title: row.title,
    description: row.description,
    status: row.status,
    severity: row.severity,
    source: row.source,
    origin: row.origin,
    originRef: row.origin_ref,
    externalKey: row.external_key,
    assignee: row.assignee,
    labels: row.labels,
    occurredAt: row.occurred_at,
    reportedAt: row.reported_at,
    updatedAt: row.updated_at,
    recordedAt: row.recorded_at,
    acknowledgedAt: row.acknowledged_at,
    resolvedAt: row.resolved_at,
    revision: row.revision,
    // Revisions are dense from 0.
    eventCount: row.revision + 1,
    reopenCount: row.reopen_count,
    ...(row.erased && { erased: row.erased }),
  }
  // The row was made from an Incident, whose status and times belong together.
  return { incident: incident as Incident, detailsRevision: row.details_revision }
}

/** An incident's JSON: the same bytes whether it was folded or read, for its ETag is a strong one. */
export function incidentJson(incident: Incident): string {
  const { id, title, description, status, severity, source, origin, originRef, externalKey, assignee } =
    incident
  const { occurredAt, reportedAt, updatedAt, recordedAt, acknowledgedAt, resolvedAt } = incident
  const { revision, eventCount, reopenCount, erased } = incident
  return JSON.stringify({
    ...{ id, title, description, status, severity, source, origin, originRef, externalKey, assignee },
    labels: sorted(incident.labels),
    ...{ occurredAt, reportedAt, updatedAt, recordedAt, acknowledgedAt, resolvedAt },
    ...{ revision, eventCount, reopenCount, erased },
  })
}

/** As jsonb has them: short keys first. Keys are ASCII. */
function sorted(labels: Labels): Labels {
  return Object.fromEntries(
    Object.entries(labels).sort(([a], [b]) => a.length - b.length || (a < b ? -1 : 1)),
  )
}

function progress({ incident, detailsRevision }: Standing): Progress {
  return {
    status: incident.status,
    severity: incident.severity,
    assignee: incident.assignee,
    details_revision: detailsRevision,
    acknowledged_at: incident.acknowledgedAt,
    resolved_at: incident.resolvedAt,
    reopen_count: incident.reopenCount,
    erased: incident.erased ?? null,
  }
}

function place({ id, position }: Pick<IncidentRecord, 'id' | 'position'>, index: number): Place {
  return { index, commit: String(position.commit), prepare: String(position.prepare), id }
}
