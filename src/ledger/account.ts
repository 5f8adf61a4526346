import { LRUCache } from 'lru-cache'
import { type IncidentId, type IncidentState, isReported, unreported } from '../aggregates/incident/index.ts'
import type { IncidentRecord } from './event.ts'
import { stateAfter } from './incident-journal.ts'
import type { AppendedRecord } from './ledger.ts'

/** An incident as far as it is known: its state, the marks of the requests that it has seen, and the keys of its text. */
export interface Account {
  readonly state: IncidentState
  readonly marks: Set<string>
  /** Those that are not erased, the last one used at the end. */
  readonly keyIds: readonly string[]
}

/** Of an incident that was never reported. */
export function emptyAccount(): Account {
  return { state: unreported, marks: new Set(), keyIds: [] }
}

/** Accounts of this process's last commands. They may be out of date: good for an append at their revision, for no answer. */
export interface Accounts {
  readonly get: (id: IncidentId) => Account | undefined
  readonly keep: (id: IncidentId, account: Account) => void
  readonly drop: (id: IncidentId) => void
}

/** In characters of text, by and large. */
const capacity = 32_000_000
const stateSize = 1_000
const markSize = 100

export function openAccounts(): Accounts {
  const cache = new LRUCache<IncidentId, Account>({
    maxSize: capacity,
    sizeCalculation: ({ state, marks }) =>
      stateSize + (isReported(state) ? (state.description?.length ?? 0) : 0) + marks.size * markSize,
  })
  return {
    get: (id) => cache.get(id),
    keep: (id, account) => void cache.set(id, account),
    drop: (id) => void cache.delete(id),
  }
}

export function accountOf(id: IncidentId, records: readonly IncidentRecord[]): Account {
  return advanced(id, emptyAccount(), records)
}

/** The account after more has happened. The marks are added to the set that is there: it may be long. */
export function advanced(
  id: IncidentId,
  { state, marks, keyIds }: Account,
  records: readonly AppendedRecord[],
): Account {
  let living = keyIds
  for (const { metadata, event, keyId } of records) {
    if (metadata.idempotency) marks.add(metadata.idempotency.key)
    if (event.type === 'IncidentPersonalDataErased') living = [keyId]
    else if (living.at(-1) !== keyId) living = [...living.filter((id) => id !== keyId), keyId]
  }
  return { state: stateAfter(id, records, state), marks, keyIds: living }
}

/** The revision of its last event; −1 where it was never reported. */
export function revisionOf(state: IncidentState): number {
  return isReported(state) ? state.revision : -1
}
