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
  }
}
