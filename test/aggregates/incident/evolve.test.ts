import { describe, expect, it } from 'vitest'
import { evolve, type IncidentEvent, unreported } from '../../../src/aggregates/incident/index.ts'
import { during, fold, historyTo, id, incidentAfter, minute, moved, reported } from './specification.ts'

describe('after the report', () => {
  it('an incident is new and has what was reported', () => {
    expect(fold([reported])).toEqual({
      ...reported.data,
      id,
      originRef: null,
      externalKey: null,
      status: 'new',
      acknowledgedAt: null,
      resolvedAt: null,
      reportedAt: minute(0),
      updatedAt: minute(0),
      recordedAt: minute(0),
      revision: 0,
      eventCount: 1,
      reopenCount: 0,
    })
  })
})

describe('revision, count and times', () => {
  it('advance with every event, whatever its type', () => {
    const changes: IncidentEvent[] = [
      moved('new', 'in_progress', 1),
      { type: 'IncidentSeverityChanged', data: { from: 'medium', to: 'low' }, ...during(2) },
      { type: 'IncidentAssigned', data: { from: null, to: 'Group 7' }, ...during(3) },
      { type: 'IncidentDetailsAmended', data: { title: 'Gateway down' }, ...during(4) },
      {
        type: 'IncidentNoteAdded',
        data: { noteId: '5f0c5c3e-6f0e-4b8e-9a52-0d9f4c1f6a11', text: 'Rolled back.' },
        at: minute(5),
        recordedAt: minute(6),
      },
    ]
    const seen = changes.map((_, last) => incidentAfter([reported, ...changes.slice(0, last + 1)]))
    expect(seen.map(({ revision, eventCount }) => [revision, eventCount])).toEqual([
      [1, 2],
      [2, 3],
      [3, 4],
      [4, 5],
      [5, 6],
    ])
    expect(seen.at(-1)).toMatchObject({
      status: 'in_progress',
      severity: 'low',
      assignee: 'Group 7',
      title: 'Gateway down',
      description: 'Checkout fails with a 502 for every second customer.',
      labels: { service: 'checkout' },
      reportedAt: minute(0),
      updatedAt: minute(5),
      recordedAt: minute(6),
    })
  })
})

describe('acknowledgement', () => {
  it.each(['in_progress', 'on_hold', 'resolved'] as const)(
    'is when it first left new, here to %s',
    (status) => {
      expect(incidentAfter(historyTo[status]).acknowledgedAt).toBe(minute(1))
    },
  )

  it('stays through everything that follows', () => {
    const history = [
      ...historyTo.resolved,
      moved('resolved', 'in_progress', 2),
      moved('in_progress', 'on_hold', 3),
      moved('on_hold', 'resolved', 4),
      moved('resolved', 'closed', 5),
    ]
    expect(incidentAfter(history).acknowledgedAt).toBe(minute(1))
  })
})

describe('resolution', () => {
  it('is when it was last resolved, while it is', () => {
    const reopened = [...historyTo.resolved, moved('resolved', 'in_progress', 2)]
    const again = [...reopened, moved('in_progress', 'resolved', 3)]
    expect(incidentAfter(historyTo.resolved).resolvedAt).toBe(minute(1))
    expect(incidentAfter(reopened).resolvedAt).toBeNull()
    expect(incidentAfter(again).resolvedAt).toBe(minute(3))
    expect(incidentAfter([...again, moved('resolved', 'closed', 4)]).resolvedAt).toBe(minute(3))
  })

  it('counts the reopenings and nothing else', () => {
    const once = [...historyTo.resolved, moved('resolved', 'in_progress', 2)]
    const twice = [...once, moved('in_progress', 'resolved', 3), moved('resolved', 'in_progress', 4)]
    const held = [...twice, moved('in_progress', 'on_hold', 5), moved('on_hold', 'in_progress', 6)]
    expect(
      [historyTo.resolved, once, twice, held].map((history) => incidentAfter(history).reopenCount),
    ).toEqual([0, 1, 2, 2])
  })
})

describe('what is no history', () => {
  it('is refused: a change before the report', () => {
    expect(() => evolve(id, unreported, moved('new', 'resolved', 1))).toThrow(RangeError)
  })

  it('is refused: a second report', () => {
    expect(() => fold([reported, reported])).toThrow(RangeError)
  })
})
