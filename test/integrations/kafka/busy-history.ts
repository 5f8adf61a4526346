import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import type { IncidentId } from '../../../src/aggregates/incident/index.ts'
import type { LedgerRecord } from '../../../src/ledger/event.ts'
import { projectBatch } from '../../../src/projections/incident-projection.ts'
import { incidentJson } from '../../../src/projections/incident-rows.ts'
import { newIncidentId, report, writer } from '../../projections/history.ts'
import { inMemoryLedger } from '../../projections/in-memory-ledger.ts'
import type { Received } from './subscriber.ts'

/** Events of many incidents that take turns: each fourth is a report, the rest are notes on any of the last twenty. */
export function busyHistory(count: number): readonly LedgerRecord[] {
  const ledger = inMemoryLedger()
  const { write } = writer()
  const open: IncidentId[] = []
  for (let n = 0; n < count; n++) {
    const id = open[(n * 7) % open.length]
    if (n % 4 === 0 || id === undefined) {
      const reported = newIncidentId()
      ledger.append(...write(reported, report({ description: `incident ${n}` })))
      open.push(reported)
      if (open.length > 20) open.shift()
    } else ledger.append(...write(id, { type: 'AddNote', noteId: randomUUID(), text: `note ${n}` }))
  }
  return ledger.records
}

/** What is promised to a subscriber: every event, once, in order within its incident, and nothing else. */
export function expectExactlyOnce(received: readonly Received[], records: readonly LedgerRecord[]): void {
  const ids = (items: readonly { readonly headers: Readonly<Record<string, string>> }[]) =>
    items.map(
      ({ headers }) =>
        `${headers.ce_subject} ${headers.ce_sequence} ${headers.ce_id} ${headers.ce_ledgerindex}`,
    )
  const expected = records.flatMap((record, index) =>
    record.kind === 'incident' ? [`${record.incidentId} ${record.revision} ${record.id} ${index}`] : [],
  )
  expect(ids(received).toSorted()).toEqual(expected.toSorted())
  const next = new Map<string | undefined, number>()
  for (const { key, headers } of received) {
    expect(Number(headers.ce_sequence)).toBe(next.get(key) ?? 0)
    next.set(key, Number(headers.ce_sequence) + 1)
  }
}

/** What is promised of the compacted topic: the last record of each key is the incident as the read model has it. */
export function expectLatestStates(received: readonly Received[], records: readonly LedgerRecord[]): void {
  const { incidents } = projectBatch(new Map(), records, 0)
  const expected = [...incidents].map(([id, { incident }]) => {
    const index = records.findLastIndex((record) => record.kind === 'incident' && record.incidentId === id)
    return [id, { ...JSON.parse(incidentJson(incident)), index }] as const
  })
  expect(new Map(received.map(({ key, value }) => [key, value]))).toEqual(new Map(expected))
}
