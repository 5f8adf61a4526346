import type { IncidentRecord, LedgerRecord } from '../../../src/ledger/event.ts'
import type { IncidentHistory } from '../../../src/ledger/ledger.ts'
import { type InMemoryLedger, inMemoryLedger } from '../../projections/in-memory-ledger.ts'

/** A ledger in memory that can also be asked for an incident's history, as the publisher does. */
export function knownLedger(
  initial: readonly LedgerRecord[] = [],
  options: Parameters<typeof inMemoryLedger>[1] = {},
): InMemoryLedger & { readonly history: Pick<IncidentHistory, 'events'> } {
  const ledger = inMemoryLedger(initial, options)
  return {
    ...ledger,
    history: {
      events: async (id) =>
        ledger.records.filter(
          (record): record is IncidentRecord => record.kind === 'incident' && record.incidentId === id,
        ),
    },
  }
}

/** For a process that is given the records in a file. */
export function recordsToJson(records: readonly LedgerRecord[]): string {
  return JSON.stringify(records, (_key, value) => (typeof value === 'bigint' ? String(value) : value))
}

export function recordsFromJson(text: string): readonly LedgerRecord[] {
  return JSON.parse(text, (key, value) => (key === 'commit' || key === 'prepare' ? BigInt(value) : value))
}
