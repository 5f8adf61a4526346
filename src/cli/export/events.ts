import type { IncidentId, Instant } from '../../aggregates/incident/index.ts'
import { LedgerError } from '../../ledger/errors.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { listedAccessKeyEvent, listedEvent } from '../../projections/listed-event.ts'
import type { LedgerEvent } from '../../projections/read-model.ts'
import { recordsOf } from '../ledger-records.ts'

export interface Extent {
  readonly ledger: Pick<Ledger, 'subscribe'>
  /** Bounds on recordedAt: from is in, to is out. */
  readonly from?: Instant | undefined
  readonly to?: Instant | undefined
  readonly incident?: IncidentId | undefined
  readonly signal: AbortSignal
}

/**
 * The events of incidents and of access keys as auditors see them, in the order of the ledger, from the ledger itself: also those that no read model has yet.
 * @throws Error where one of them cannot be read, for an export that leaves it out would be taken for whole.
 */
export async function* exportedEvents({
  ledger,
  from,
  to,
  incident,
  signal,
}: Extent): AsyncGenerator<LedgerEvent> {
  let index = -1
  let isThere = false
  for await (const record of recordsOf(ledger, signal)) {
    index += 1
    if (record.kind === 'unreadable') {
      if (incident !== undefined && !record.stream.endsWith(incident)) continue
      throw new LedgerError({
        code: 'history-unreadable',
        stream: record.stream,
        revision: record.revision,
      })
    }
    if (incident !== undefined && (record.kind !== 'incident' || record.incidentId !== incident)) continue
    isThere = true
    const { recordedAt } = record.event
    if ((from === undefined || recordedAt >= from) && (to === undefined || recordedAt < to)) {
      yield record.kind === 'incident' ? listedEvent(record, index) : listedAccessKeyEvent(record, index)
    }
  }
  if (incident !== undefined && !isThere) throw new LedgerError({ code: 'incident-not-found' })
}

/** The incidents of events, each once, in the order of the first of its events. */
export async function* incidentsOf(events: AsyncIterable<LedgerEvent>): AsyncGenerator<IncidentId> {
  const seen = new Set<IncidentId>()
  for await (const event of events) {
    if (!('incidentId' in event)) continue
    const { incidentId } = event
    if (seen.has(incidentId)) continue
    seen.add(incidentId)
    yield incidentId
  }
}
