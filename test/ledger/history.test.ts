import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type IncidentId, instantOf } from '../../src/aggregates/incident/index.ts'
import { openMemoryStore } from './support/memory-store.ts'
import { context, faultOf, ledgerOn, report } from './support/requests.ts'

const day = (n: number) => instantOf(Date.UTC(2026, 0, n))
const note = { type: 'AddNote', noteId: randomUUID(), text: 'A note' } as const
const nobody = '00000000-0000-4000-8000-000000000000' as IncidentId

describe('a state of the past', () => {
  /** Happened on the 1st, 2nd and 3rd; recorded on the 10th, 11th and 12th. */
  async function threeEvents() {
    let now = Date.UTC(2026, 0, 10)
    const ledger = await ledgerOn(openMemoryStore(), { clock: () => now })
    const { incident } = await ledger.incidents.report(report(), context({ at: day(1) }))
    for (const n of [2, 3]) {
      now += 86_400_000
      await ledger.incidents.change(incident.id, note, context({ at: day(n) }))
    }
    now += 86_400_000
    return { ...ledger, id: incident.id }
  }

  test.each([
    [{ asOf: day(1) }, 0],
    [{ asOf: day(2) }, 1],
    [{ asOf: day(9) }, 2],
    [{ knownAt: day(10) }, 0],
    [{ knownAt: day(11) }, 1],
    [{ revision: 1 }, 1],
  ])('%o is that of revision %i', async (moment, revision) => {
    const { history, id } = await threeEvents()
    expect(await history.stateAt(id, moment)).toMatchObject({ incident: { revision }, provisional: false })
  })

  test.each([[{ asOf: instantOf(Date.UTC(2025, 11, 31)) }], [{ knownAt: day(9) }], [{ revision: 3 }]])(
    '%o is none',
    async (moment) => {
      const { history, id } = await threeEvents()
      expect(await faultOf(history.stateAt(id, moment))).toEqual({ code: 'not-yet-reported' })
    },
  )

  test('is provisional while an append that was decided before it may still come', async () => {
    const { history, id } = await threeEvents()
    const now = Date.UTC(2026, 0, 13)
    const at = (ageMs: number) => history.stateAt(id, { knownAt: instantOf(now - ageMs) })
    expect(await at(5_999)).toMatchObject({ provisional: true })
    expect(await at(6_000)).toMatchObject({ provisional: false })
  })

  test('of an incident that is none is not found', async () => {
    const { history } = await threeEvents()
    expect(await faultOf(history.stateAt(nobody, { revision: 0 }))).toEqual({ code: 'incident-not-found' })
    expect(await faultOf(history.events(nobody))).toEqual({ code: 'incident-not-found' })
  })
})
