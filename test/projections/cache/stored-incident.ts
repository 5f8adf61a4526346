import { type IncidentId, incidentId } from '../../../src/aggregates/incident/index.ts'
import type { CacheMiss, StoredIncident } from '../../../src/projections/read-model.ts'

/** The nth incident of a test. */
export function idOf(n: number): IncidentId {
  return incidentId.parse(`00000000-0000-7000-8000-${String(n).padStart(12, '0')}`)
}

export function stored(id: IncidentId, revision: number): StoredIncident {
  return { revision, json: JSON.stringify({ id, revision, title: 'Über den Ausfall' }) }
}

export function isHit(answer: StoredIncident | CacheMiss): answer is StoredIncident {
  return 'json' in answer
}

/** The lease of an answer that must be a miss with one. */
export function leaseIn(answer: StoredIncident | CacheMiss): string {
  if ('json' in answer || answer.lease === undefined) throw new Error(`no lease: ${JSON.stringify(answer)}`)
  return answer.lease
}
