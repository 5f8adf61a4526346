import type { IncidentId } from '../../aggregates/incident/index.ts'
import { LedgerError } from '../../ledger/errors.ts'
import type { IncidentHistory } from '../../ledger/ledger.ts'
import { projectBatch } from '../../projections/incident-projection.ts'
import type { Standing } from '../../projections/incident-rows.ts'
import { openStandings, type Standings } from '../../projections/standings.ts'

const keptCharacters = 16_000_000
const readsAtOnce = 16

/**
 * The states that were published last, and the others folded from the incident's own stream. The read model would be cheaper to ask, but it may be
 * ahead or behind, and may be another store's: only the stream has each state exactly.
 */
export function openLatestStates(history: Pick<IncidentHistory, 'events'>): Standings {
  return openStandings(async (unknown) => {
    const found: [IncidentId, Standing][] = []
    const waiting = [...unknown]
    while (waiting.length > 0) {
      const some = waiting.splice(0, readsAtOnce)
      const read = await Promise.all(some.map(([id, revision]) => standingBefore(history, id, revision)))
      for (const [n, [id]] of some.entries()) {
        const standing = read[n]
        if (standing) found.push([id, standing])
      }
    }
    return found
  }, keptCharacters)
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
