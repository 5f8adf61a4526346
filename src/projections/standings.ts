import { LRUCache } from 'lru-cache'
import type pg from 'pg'
import type { IncidentId } from '../aggregates/incident/index.ts'
import type { LedgerRecord } from '../ledger/event.ts'
import { incidentsBefore } from './incident-projection.ts'
import type { Standing } from './incident-rows.ts'
import { readStandings } from './incident-store.ts'

/** What the only writer of a read model knows of the incidents in it. */
export interface Standings {
  /** The incidents that a batch goes on from, as they stand before it. */
  readonly before: (records: readonly LedgerRecord[]) => Promise<Map<IncidentId, Standing>>
  /** Takes note of what was committed. */
  readonly keep: (incidents: ReadonlyMap<IncidentId, Standing>) => void
}

/** What is kept of the states that were written last, by the size of their texts. */
const keptCharacters = 8_000_000
/** Of a state without its texts, roughly. */
const overheadCharacters = 500

/**
 * Reads from the database what it has not written itself lately. For as long as nobody else writes there: a leader's term.
 */
export function openStandings(client: pg.ClientBase): Standings {
  const kept = new LRUCache<IncidentId, Standing>({
    maxSize: keptCharacters,
    sizeCalculation: ({ incident }) =>
      incident.title.length + incident.description.length + overheadCharacters,
  })
  return {
    async before(records) {
      const before = new Map<IncidentId, Standing>()
      const unknown: IncidentId[] = []
      for (const id of incidentsBefore(records)) {
        const known = kept.get(id)
        if (known) before.set(id, known)
        else unknown.push(id)
      }
      for (const [id, standing] of await readStandings(client, unknown)) before.set(id, standing)
      return before
    },
    keep(incidents) {
      for (const [id, standing] of incidents) kept.set(id, standing)
    },
  }
}
