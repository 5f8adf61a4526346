import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { instantOf } from '../../src/aggregates/incident/index.ts'
import type { ImportStep } from '../../src/ledger/ledger.ts'
import { openMemoryStore } from './support/memory-store.ts'
import { actor, context, ledgerOn, report } from './support/requests.ts'

const day = (n: number) => instantOf(Date.UTC(2026, 0, n))
const note = { type: 'AddNote', noteId: randomUUID(), text: 'A note' } as const

describe('an import', () => {
  const { body } = report()
  const steps: readonly ImportStep[] = [
    { ordinal: 1, at: day(2), actor, commands: [{ type: 'Report', body }] },
    { ordinal: 2, at: day(1), actor, commands: [{ type: 'ChangeStatus', body: { status: 'in_progress' } }] },
    { ordinal: 3, at: day(3), actor, commands: [{ type: 'ChangeStatus', body: { status: 'in_progress' } }] },
    { ordinal: 4, at: day(4), actor, commands: [note, { type: 'ChangeStatus', body: { status: 'closed' } }] },
    { ordinal: 5, at: day(5), actor, commands: [{ type: 'ChangeStatus', body: { status: 'resolved' } }] },
  ]
  const incident = { origin: 'import:x', externalKey: 'INC1', correlationId: 'a run', steps }

  test('takes what can be taken, tells the rest, and takes a step all or none', async () => {
    const { importIncident } = await ledgerOn(openMemoryStore())
    const answer = await importIncident(incident)
    expect(answer.steps).toMatchObject([
      { ordinal: 1, outcome: 'appended', at: day(2) },
      { ordinal: 2, outcome: 'appended', at: day(2) },
      { ordinal: 3, outcome: 'unchanged' },
      { ordinal: 4, outcome: 'refused', refusal: { code: 'illegal-transition' } },
      { ordinal: 5, outcome: 'appended', at: day(5) },
    ])
    expect(answer).toMatchObject({ eventsAppended: 3, incident: { status: 'resolved', revision: 2 } })
  })

  test('that is run again appends nothing', async () => {
    const store = openMemoryStore()
    const { importIncident } = await ledgerOn(store)
    const first = await importIncident(incident)
    const { length } = store.all
    const again = await importIncident(incident)
    expect(again).toMatchObject({ id: first.id, eventsAppended: 0, incident: first.incident })
    expect(again.steps.every(({ outcome }) => outcome === 'skipped')).toBe(true)
    expect(store.all.length).toBe(length)
  })

  test('goes on where an earlier one stopped, and after a writer that came between', async () => {
    const store = openMemoryStore()
    const ledger = await ledgerOn(store)
    const { id } = await ledger.importIncident({ ...incident, steps: steps.slice(0, 1) })
    let isFirst = true
    store.beforeAppend = async () => {
      if (!isFirst) return
      isFirst = false
      await ledger.incidents.change(id, note, context({ at: day(2) }))
    }
    const answer = await ledger.importIncident(incident)
    expect(answer.steps.map(({ outcome }) => outcome)).toEqual([
      'skipped',
      'appended',
      'unchanged',
      'refused',
      'appended',
    ])
    const types = (await ledger.history.events(id)).map(({ event }) => event.type)
    expect(types).toEqual([
      'IncidentReported',
      'IncidentNoteAdded',
      'IncidentStatusChanged',
      'IncidentStatusChanged',
    ])
  })

  test('appends many events in few appends', async () => {
    const store = openMemoryStore()
    const { importIncident } = await ledgerOn(store)
    const notes = Array.from({ length: 1_200 }, (_, i) => ({
      ordinal: i + 10,
      at: day(5),
      actor,
      commands: [note],
    }))
    const { appends } = store
    const answer = await importIncident({ ...incident, steps: [...steps, ...notes] })
    expect(answer.eventsAppended).toBe(1_203)
    expect(store.appends - appends).toBeLessThan(12)
  })
})
