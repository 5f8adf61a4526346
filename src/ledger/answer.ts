import {
  type Incident,
  type IncidentId,
  type IncidentState,
  isReported,
} from '../aggregates/incident/index.ts'
import { LedgerError } from './errors.ts'
import type { IncidentRecord } from './event.ts'
import { stateAfter, type Written } from './incident-journal.ts'
import type { CommandAnswer } from './ledger.ts'
import type { RequestMark } from './request.ts'

/** To a command that appended something. `state` is the one after it. */
export function appendedAnswer(state: IncidentState, { records, position }: Written): CommandAnswer {
  const [first] = records
  const outcome = first?.event.type === 'IncidentReported' ? 'created' : 'changed'
  return { outcome, incident: reported(state), records, position }
}

/** To a command that had nothing to append: the incident as it stands after these records. */
export function standingAnswer(
  outcome: 'joined' | 'unchanged',
  id: IncidentId,
  records: readonly IncidentRecord[],
): CommandAnswer {
  const last = records.at(-1)
  if (!last) throw new LedgerError({ code: 'incident-not-found' })
  return { outcome, incident: reported(stateAfter(id, records)), records: [], position: last.position }
}

/**
 * To a request whose mark the records hold: what it was answered at first, with the incident as the last of its events left it.
 * Throws `idempotency-key-reused`.
 */
export function firstAnswer(
  id: IncidentId,
  records: readonly IncidentRecord[],
  mark: RequestMark | undefined,
): CommandAnswer | undefined {
  const own = records.filter(({ metadata }) => mark && metadata.idempotency?.key === mark.key)
  const last = own.at(-1)
  if (!mark || !last?.metadata.idempotency) return undefined
  mark.verify(last.metadata.idempotency.requestHash)
  const state = stateAfter(id, records.slice(0, last.revision + 1))
  const written = { records: own.map(({ position: _, ...record }) => record), position: last.position }
  return appendedAnswer(state, written)
}

function reported(state: IncidentState): Incident {
  if (isReported(state)) return state
  throw new LedgerError({ code: 'incident-not-found' })
}
