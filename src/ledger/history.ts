import { type IncidentId, isReported } from '../aggregates/incident/index.ts'
import { LedgerError } from './errors.ts'
import type { IncidentRecord } from './event.ts'
import { type IncidentJournal, stateAfter } from './incident-journal.ts'
import type { IncidentHistory, Moment } from './ledger.ts'

/** `provisionalMs`: a moment younger than this may still gain events. */
export function openIncidentHistory(
  journal: IncidentJournal,
  clock: () => number,
  provisionalMs: number,
): IncidentHistory {
  async function events(id: IncidentId): Promise<readonly IncidentRecord[]> {
    const records = await journal.read(id)
    if (records.length === 0) throw new LedgerError({ code: 'incident-not-found' })
    return records
  }

  return {
    events,
    disclosures: async (id) => {
      const disclosures = await journal.disclose(id)
      if (disclosures.length === 0) throw new LedgerError({ code: 'incident-not-found' })
      return disclosures
    },
    stateAt: async (id, moment) => {
      const settledUntilMs = clock() - provisionalMs
      const incident = stateAfter(id, until(moment, await events(id)))
      if (!isReported(incident)) throw new LedgerError({ code: 'not-yet-reported' })
      return { incident, provisional: epochMsOf(moment) > settledUntilMs }
    },
  }
}

/** The part of a history that the moment takes in; none where it is before the report, or of a revision that there is not. */
function until(moment: Moment, records: readonly IncidentRecord[]): readonly IncidentRecord[] {
  if ('revision' in moment) {
    return moment.revision < records.length ? records.slice(0, moment.revision + 1) : []
  }
  // Neither time line runs backwards within an incident.
  const isLater = ({ event }: IncidentRecord) =>
    'asOf' in moment ? event.at > moment.asOf : event.recordedAt > moment.knownAt
  const end = records.findIndex(isLater)
  return end < 0 ? records : records.slice(0, end)
}

function epochMsOf(moment: Moment): number {
  if ('revision' in moment) return Number.NEGATIVE_INFINITY
  return Date.parse('asOf' in moment ? moment.asOf : moment.knownAt)
}
