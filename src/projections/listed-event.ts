import type { AccessKeyEvent } from '../aggregates/access-key/index.ts'
import type { IncidentRecord, KeyRecord } from '../ledger/event.ts'
import type { ListedAccessKeyEvent, ListedEvent } from './read-model.ts'

/** An incident's event as callers and subscribers see it. `index`: its place in the ledger, as far as that is known. */
export function listedEvent<Index extends number | null>(
  { id, incidentId, revision, event, metadata }: Omit<IncidentRecord, 'position'>,
  index: Index,
): Omit<ListedEvent, 'index'> & { readonly index: Index } {
  return {
    index,
    id,
    incidentId,
    revision,
    type: event.type,
    at: event.at,
    recordedAt: event.recordedAt,
    actor: metadata.actor,
    correlationId: metadata.$correlationId,
    data: event.data,
    ...erasedIn(event.erased, metadata.actor.name),
  }
}

/** An access key's event as auditors see it. */
export function listedAccessKeyEvent(
  { id, keyId, revision, event, metadata }: Omit<KeyRecord, 'position'>,
  index: number,
): ListedAccessKeyEvent {
  return {
    index,
    id,
    accessKeyId: keyId,
    revision,
    type: event.type,
    at: metadata.at,
    recordedAt: metadata.recordedAt,
    actor: metadata.actor,
    correlationId: metadata.$correlationId,
    data: shown(event),
  }
}

/** All but what a key could be told by. */
function shown({ type, data }: AccessKeyEvent): ListedAccessKeyEvent['data'] {
  if (type !== 'AccessKeyIssued') return data
  const { digest, ...rest } = data
  return rest
}

/** What of an event is gone: fields of its data, and the name of its actor. Absent where nothing is. */
export function erasedIn(
  fields: readonly string[] | null | undefined,
  actorName: string | null,
): Pick<ListedEvent, 'erased'> {
  const erased = [...(fields ?? []), ...(actorName === null ? ['actor.name'] : [])]
  return erased.length > 0 ? { erased } : {}
}
