import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { IncidentId } from '../../src/aggregates/incident/index.ts'
import type { LedgerRecord } from '../../src/ledger/event.ts'
import { projectBatch } from '../../src/projections/incident-projection.ts'
import { incidentJson, type Standing } from '../../src/projections/incident-rows.ts'
import { arbitraryRecords, keyIssued, newIncidentId, report, unreadable, writer } from './history.ts'
import { inMemoryLedger, type Unplaced } from './in-memory-ledger.ts'

test('any split of a history into batches comes to the same rows', () => {
  const split = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 })
  void fc.assert(
    fc.property(arbitraryRecords, split, (unplaced, sizes) => {
      const records = placed(unplaced)
      expect(projectedInBatches(records, sizes)).toEqual(projectedInBatches(records, [records.length]))
    }),
  )
})

test('the rows say what evolve says', () => {
  const { write, incident } = writer()
  const id = newIncidentId()
  const records = placed([
    ...write(id, report({ severity: 'low' })),
    ...write(id, { type: 'ChangeStatus', body: { status: 'resolved' } }),
    ...write(id, { type: 'Revise', body: { severity: 'high', title: 'Another title' } }),
  ])
  const { events, details, incidents } = projectBatch(new Map(), records, 7)
  expect(incidents.get(id)).toMatchObject({ incident: incident(id), detailsRevision: 2 })
  expect(
    events.map(({ index, revision, status, severity, details_revision }) => [
      index,
      revision,
      status,
      severity,
      details_revision,
    ]),
  ).toEqual([
    [7, 0, 'new', 'low', 0],
    [8, 1, 'resolved', 'low', 0],
    [9, 2, 'resolved', 'low', 2],
    [10, 3, 'resolved', 'high', 2],
  ])
  expect(details.map(({ revision, title }) => [revision, title])).toEqual([
    [0, 'something broke'],
    [2, 'Another title'],
  ])
})

test('every event of the ledger has its index, those of other aggregates and unreadable ones too', () => {
  const { write } = writer()
  const [first, second] = [newIncidentId(), newIncidentId()]
  const records = placed([
    keyIssued(),
    ...write(first, report()),
    unreadable('incident-x', 4),
    ...write(second, report()),
  ])
  const changes = projectBatch(new Map(), records, 0)
  expect(changes.events.map(({ index, incident_id }) => [index, incident_id])).toEqual([
    [1, first],
    [3, second],
  ])
  expect(changes.unreadable.map(({ index, stream, reason }) => [index, stream, reason])).toEqual([
    [2, 'incident-x', 'a type of the future'],
  ])
})

test('an incident with an unreadable event stands still at the last certain state, and its later events are counted', () => {
  const { write, incident } = writer()
  const id = newIncidentId()
  const before = write(id, report())
  const certain = incident(id)
  write(id, { type: 'ChangeStatus', body: { status: 'in_progress' } })
  const after = write(id, { type: 'ChangeStatus', body: { status: 'resolved' } })
  const records = placed([...before, unreadable(`incident-${id}`, 1), ...after])
  const { incidents, events, unreadable: held } = projectBatch(new Map(), records, 0)
  expect(incidents.get(id)?.incident).toEqual(certain)
  expect(events).toHaveLength(1)
  expect(held.map(({ index, revision }) => [index, revision])).toEqual([
    [1, 1],
    [2, 2],
  ])
})

test('an incident whose report cannot be read is not projected at all', () => {
  const { write } = writer()
  const id = newIncidentId()
  write(id, report())
  const later = write(id, { type: 'AddNote', noteId: newIncidentId(), text: 'still down' })
  const changes = projectBatch(new Map(), placed([unreadable(`incident-${id}`, 0), ...later]), 0)
  expect(changes.incidents.size).toBe(0)
  expect(changes.unreadable).toHaveLength(2)
})

test('an incident has the same JSON in whatever order its members and labels were put in', () => {
  const { write, incident } = writer()
  const id = newIncidentId()
  write(id, report({ labels: { zone: 'b', a: '1', host: 'x' } }))
  const folded = incident(id)
  const shuffled = Object.fromEntries(
    Object.entries({ ...folded, labels: { host: 'x', zone: 'b', a: '1' } }).reverse(),
  )
  expect(incidentJson({ ...folded, ...shuffled })).toBe(incidentJson(folded))
  expect(JSON.parse(incidentJson(folded))).toEqual(folded)
})

function placed(records: readonly Unplaced[]): readonly LedgerRecord[] {
  const ledger = inMemoryLedger()
  ledger.append(...records)
  return ledger.records
}

/** The last state of every incident and all other rows, after batches of these sizes, over and over. */
function projectedInBatches(records: readonly LedgerRecord[], sizes: readonly number[]) {
  const incidents = new Map<IncidentId, Standing>()
  const rows: unknown[] = []
  let index = 0
  for (let turn = 0; index < records.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    const batch = records.slice(index, index + size)
    const changes = projectBatch(incidents, batch, index)
    for (const [id, standing] of changes.incidents) incidents.set(id, standing)
    rows.push(...changes.events, ...changes.accessKeyEvents, ...changes.details, ...changes.unreadable)
    index += batch.length
  }
  return { incidents, rows: new Set(rows.map((row) => JSON.stringify(row))) }
}
