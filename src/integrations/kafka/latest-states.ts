import { LRUCache } from 'lru-cache'
import type { IncidentId } from '../../aggregates/incident/index.ts'
import { LedgerError } from '../../ledger/errors.ts'
import type { LedgerRecord } from '../../ledger/event.ts'
import type { IncidentHistory } from '../../ledger/ledger.ts'
import { incidentsBefore, projectBatch } from '../../projections/incident-projection.ts'
import type { Standing } from '../../projections/incident-rows.ts'

/** The incidents that a batch goes on from, as they stood before it, and what the batch makes of them. */
export interface LatestStates {
  readonly before: (records: readonly LedgerRecord[]) => Promise<Map<IncidentId, Standing>>
  readonly keep: (incidents: ReadonlyMap<IncidentId, Standing>) => void
}

/** What is kept of the states that were published last, by the size of their texts. */
const keptCharacters = 16_000_000
/** Of a state without its texts, roughly. */
const overheadCharacters = 500
const readsAtOnce = 16

/**
 * Keeps the states it has seen last, within bounds, and folds the others from the incident's own stream. The read model would be cheaper to ask,
 * but it may be ahead or behind, and may be another store's: only the stream has each state exactly.
 */
export function openLatestStates(history: Pick<IncidentHistory, 'events'>): LatestStates {
  const kept = new LRUCache<IncidentId, Standing>({
    maxSize: keptCharacters,
    sizeCalculation: ({ incident }) =>
      incident.title.length + incident.description.length + overheadCharacters,
  })
  return {
    async before(records) {
      const before = new Map<IncidentId, Standing>()
      const unknown: { readonly id: IncidentId; readonly revision: number }[] = []
      const needed = incidentsBefore(records)
      for (const record of records) {
        if (record.kind !== 'incident' || !needed.delete(record.incidentId)) continue
        const { incidentId: id, revision } = record
        const known = kept.get(id)
        if (known) before.set(id, known)
        else unknown.push({ id, revision })
      }
      while (unknown.length > 0) {
        const some = unknown.splice(0, readsAtOnce)
        const read = await Promise.all(some.map(({ id, revision }) => standingBefore(history, id, revision)))
        for (const [n, { id }] of some.entries()) {
          const standing = read[n]
          if (standing) before.set(id, standing)
        }
      }
      return before
    },
    keep(incidents) {
      for (const [id, standing] of incidents) kept.set(id, standing)
    },
  }
}

/** Undefined where an event of the incident cannot be read: it stands still, as it does in the read model. */
async function standingBefore(
  history: Pick<IncidentHistory, 'events'>,
  id: IncidentId,
  revision: number,
): Promise<Standing | undefined> {
  try {
    const records = await history.events(id)
    return projectBatch(new Map(), records.slice(0, revision), 0).incidents.get(id)
  } catch (error) {
    if (error instanceof LedgerError && error.fault.code === 'history-unreadable') return undefined
    throw error
  }
}
