import { LRUCache } from 'lru-cache'
import type { IncidentId } from '../aggregates/incident/index.ts'
import type { LedgerRecord } from '../ledger/event.ts'
import { incidentsBefore } from './incident-projection.ts'
import type { Standing } from './incident-rows.ts'

/** What the only writer of a projection knows of the incidents in it. */
export interface Standings {
  /** The incidents that a batch goes on from, as they stand before it. */
  readonly before: (records: readonly LedgerRecord[]) => Promise<Map<IncidentId, Standing>>
  /** Takes note of what was written. */
  readonly keep: (incidents: ReadonlyMap<IncidentId, Standing>) => void
}

/** Reads incidents as they stood before the revision that is given for each. Those that are not to be had are left out. */
export type ReadStandings = (
  unknown: ReadonlyMap<IncidentId, number>,
) => Promise<Iterable<readonly [IncidentId, Standing]>>

/** Of a state without its texts, roughly. */
const overheadCharacters = 500

/**
 * Asks `read` only for what has not been written lately. For as long as nobody else writes there: a leader's term.
 * @param keptCharacters what is kept of the states that were written last, by the size of their texts.
 */
export function openStandings(read: ReadStandings, keptCharacters: number): Standings {
  const kept = new LRUCache<IncidentId, Standing>({
    maxSize: keptCharacters,
    sizeCalculation: ({ incident }) =>
      (incident.title?.length ?? 0) + (incident.description?.length ?? 0) + overheadCharacters,
  })
  return {
    async before(records) {
      const before = new Map<IncidentId, Standing>()
      const unknown = new Map<IncidentId, number>()
      const needed = incidentsBefore(records)
      for (const record of records) {
        if (record.kind !== 'incident' || !needed.delete(record.incidentId)) continue
        const known = kept.get(record.incidentId)
        if (known) before.set(record.incidentId, known)
        else unknown.set(record.incidentId, record.revision)
      }
      for (const [id, standing] of await read(unknown)) before.set(id, standing)
      return before
    },
    keep(incidents) {
      for (const [id, standing] of incidents) kept.set(id, standing)
    },
  }
}
