import type { IncidentRecord } from '../ledger/event.ts'
import type { ListedEvent } from './read-model.ts'

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

/** What of an event is gone: fields of its data, and the name of its actor. Absent where nothing is. */
export function erasedIn(
  fields: readonly string[] | null | undefined,
  actorName: string | null,
): Pick<ListedEvent, 'erased'> {
  const erased = [...(fields ?? []), ...(actorName === null ? ['actor.name'] : [])]
  return erased.length > 0 ? { erased } : {}
}
