/** The rows of the read model's tables, and an incident's way into them and back. Columns have the tables' names. */
import type { AccessKeyEvent, AccessKeyId } from '../aggregates/access-key/index.ts'
import type { Incident, IncidentEvent, Instant, Labels } from '../aggregates/incident/index.ts'
import type { Actor, IncidentRecord, KeyRecord, LedgerRecord, UnreadableRecord } from '../ledger/event.ts'
import { listedAccessKeyEvent } from './listed-event.ts'
import type { ListedAccessKeyEvent } from './read-model.ts'

/** past_states_sql counts as far: to 139 years. */
const longestMagnitude = 22

/** An incident as the read model keeps it. */
export interface Standing {
  readonly incident: Incident
  /** The revision that last set title, description or labels. */
  readonly detailsRevision: number
  /** When the ledger learnt of it. */
  readonly firstRecordedAt: Instant
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
  readonly first_recorded_at: Instant
  readonly recorded_at: Instant
  readonly revision: number
}

export interface DetailsRow extends Details {
  readonly incident_id: Incident['id']
  readonly revision: number
}

export interface AccessKeyEventRow extends Place {
  readonly access_key_id: AccessKeyId
  readonly revision: number
  readonly type: AccessKeyEvent['type']
  readonly at: Instant
  readonly recorded_at: Instant
  readonly actor_kind: Actor['kind']
  readonly actor_id: string
  readonly actor_name: string
  readonly correlation_id: string
  readonly data: ListedAccessKeyEvent['data']
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
  readonly source: Incident['source']
  readonly reported_at: Instant
  /** How the incident stood until this event; null in its first one. */
  readonly before_at: Instant | null
  readonly before_recorded_at: Instant | null
  readonly before_status: Incident['status'] | null
  readonly before_severity: Incident['severity'] | null
  readonly before_assignee: string | null
  readonly stood_for: number | null
  readonly known_for: number | null
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
    first_recorded_at: standing.firstRecordedAt,
    recorded_at: incident.recordedAt,
    revision: incident.revision,
    ...progress(standing),
  }
}

export function detailsRow({ id, revision, title, description, labels }: Incident): DetailsRow {
  return { incident_id: id, revision, title, description, labels }
}

/** `before`: as it was before this event; `standing`: as it was after it. */
export function eventRow(
  record: IncidentRecord,
  index: number,
  before: Standing | undefined,
  standing: Standing,
): EventRow {
  const { incidentId, revision, event, metadata } = record
  const last = before?.incident
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
    source: standing.incident.source,
    reported_at: standing.incident.reportedAt,
    before_at: last?.updatedAt ?? null,
    before_recorded_at: last?.recordedAt ?? null,
    before_status: last?.status ?? null,
    before_severity: last?.severity ?? null,
    before_assignee: last?.assignee ?? null,
    stood_for: last ? magnitude(last.updatedAt, event.at) : null,
    known_for: last ? magnitude(last.recordedAt, event.recordedAt) : null,
  }
}

export function accessKeyEventRow(record: KeyRecord, index: number): AccessKeyEventRow {
  const { type, at, recordedAt, actor, correlationId, data } = listedAccessKeyEvent(record, index)
  return {
    ...place(record, index),
    access_key_id: record.keyId,
    revision: record.revision,
    type,
    at,
    recorded_at: recordedAt,
    actor_kind: actor.kind,
    actor_id: actor.id,
    actor_name: actor.name,
    correlation_id: correlationId,
    data,
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
  return {
    incident: incidentOf(row),
    detailsRevision: row.details_revision,
    firstRecordedAt: row.first_recorded_at,
  }
}

export function incidentOf(row: Omit<CurrentRow, 'first_recorded_at'>): Incident {
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
  return incident as Incident
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

/** The least n with which from one instant to the other it is less than 4^n milliseconds; at most 22, for all that is longer. */
function magnitude(from: Instant, to: Instant): number {
  const ms = Date.parse(to) - Date.parse(from)
  return ms > 0 ? Math.min(Math.ceil(ms.toString(2).length / 2), longestMagnitude) : 0
}

function place({ id, position }: Pick<LedgerRecord, 'id' | 'position'>, index: number): Place {
  return { index, commit: String(position.commit), prepare: String(position.prepare), id }
}
