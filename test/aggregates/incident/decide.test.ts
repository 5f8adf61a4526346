import { describe, expect, it } from 'vitest'
import {
  decide,
  type Incident,
  type IncidentCommand,
  type IncidentEvent,
  instantOf,
  limits,
  type ReportBody,
  type Status,
  statuses,
  unreported,
} from '../../../src/aggregates/incident/index.ts'
import {
  during,
  fold,
  given,
  historyTo,
  id,
  incidentAfter,
  minute,
  moved,
  reported,
} from './specification.ts'

const body: ReportBody = {
  title: 'Checkout fails',
  description: 'Checkout fails with a 502 for every second customer.',
  severity: 'medium',
  source: 'operator',
  assignee: null,
  labels: { service: 'checkout' },
  occurredAt: minute(-5),
}
const noteId = '5f0c5c3e-6f0e-4b8e-9a52-0d9f4c1f6a11'
const addNote = { type: 'AddNote', noteId, text: 'Rolled back.', ...during(9) } as const
const noted: IncidentEvent = {
  type: 'IncidentNoteAdded',
  data: { noteId, text: 'Rolled back.' },
  ...during(9),
}

function report(changes: Partial<ReportBody> = {}, time = during(0)): IncidentCommand & { type: 'Report' } {
  return { type: 'Report', id, body: { ...body, ...changes }, origin: 'access-key:7', ...time }
}

function revise(changes: (IncidentCommand & { type: 'Revise' })['body'], time = during(9)): IncidentCommand {
  return { type: 'Revise', body: changes, ...time }
}

const open = statuses.filter((status) => status !== 'closed')

describe('reporting', () => {
  it('appends what was reported', () => given().when(report()).thenAppends(reported))

  it('takes the title from the description when it is given none', () => {
    const { title: _, ...untitled } = body
    const decision = decide(
      { ...report(), body: { ...untitled, description: '\n  Disk full \nsince noon' } },
      unreported,
    )
    expect(decision).toMatchObject({ ok: true, events: [{ data: { title: 'Disk full' } }] })
  })

  it('takes the time of the report for its beginning when it is told none', () => {
    const { occurredAt: _, ...timeless } = body
    expect(decide({ ...report({}, during(3)), body: timeless }, unreported)).toMatchObject({
      ok: true,
      events: [{ data: { occurredAt: minute(3) } }],
    })
  })

  it('keeps an external key and an origin reference where there are such', () => {
    const command = { ...report({ externalKey: 'INC0000045' }), originRef: 'chat 7, message 12' }
    expect(decide(command, unreported)).toMatchObject({
      ok: true,
      events: [{ data: { externalKey: 'INC0000045', originRef: 'chat 7, message 12' } }],
    })
    const plain = decide(report(), unreported)
    const data = plain.ok ? plain.events[0]?.data : undefined
    expect(data).not.toHaveProperty('externalKey')
    expect(data).not.toHaveProperty('originRef')
  })

  it('takes a reporter’s clock that is ahead by five minutes, and not by a millisecond more', () => {
    const latest = instantOf(Date.parse(minute(0)) + limits.occurredAheadMs)
    expect(decide(report({ occurredAt: latest }), unreported)).toMatchObject({ ok: true })
    given()
      .when(report({ occurredAt: instantOf(Date.parse(latest) + 1) }))
      .thenRefused({ code: 'occurred-in-future', latest })
  })

  it.each(statuses)('is refused for an incident that is %s', (status) => {
    given(...historyTo[status])
      .when(report())
      .thenRefused({ code: 'incident-exists' })
  })
})

describe('a command on an incident that was never reported', () => {
  it.each([
    { type: 'ChangeStatus', body: { status: 'resolved' }, ...during(9) } as const,
    revise({ title: 'X' }),
    addNote,
  ])('$type is refused', (command) => given().when(command).thenRefused({ code: 'incident-not-found' }))
})

describe('a note', () => {
  it.each(statuses)('is added to an incident that is %s', (status) => {
    given(...historyTo[status])
      .when(addNote)
      .thenAppends(noted)
  })
})

describe('revising', () => {
  const amended: IncidentEvent = {
    type: 'IncidentDetailsAmended',
    data: { title: 'Payment fails' },
    ...during(9),
  }

  it.each(open)('changes an incident that is %s', (status) => {
    given(...historyTo[status])
      .when(revise({ title: 'Payment fails' }))
      .thenAppends(amended)
  })

  it('is refused once the incident is closed', () => {
    given(...historyTo.closed)
      .when(revise({ title: 'Payment fails' }))
      .thenRefused({ code: 'incident-closed' })
    given(...historyTo.closed)
      .when(revise({ severity: 'low' }))
      .thenRefused({ code: 'incident-closed' })
    given(...historyTo.closed)
      .when(revise({ assignee: 'Group 7' }))
      .thenRefused({ code: 'incident-closed' })
  })

  it.each(statuses)('to what already is appends nothing, also when it is %s', (status) => {
    const { title, description, severity, assignee, labels } = body
    given(...historyTo[status])
      .when(revise({ title, description, severity, assignee, labels }))
      .thenNothing()
  })

  it('says each kind of change in an event of its own: details, severity, assignee', () => {
    given(reported)
      .when(
        revise({
          assignee: 'Group 7',
          severity: 'high',
          description: 'It is the gateway.',
          title: 'Gateway down',
        }),
      )
      .thenAppends(
        {
          type: 'IncidentDetailsAmended',
          data: { title: 'Gateway down', description: 'It is the gateway.' },
          ...during(9),
        },
        { type: 'IncidentSeverityChanged', data: { from: 'medium', to: 'high' }, ...during(9) },
        { type: 'IncidentAssigned', data: { from: null, to: 'Group 7' }, ...during(9) },
      )
  })

  it('takes only what differs into the event', () => {
    given(reported)
      .when(revise({ title: body.title, description: 'It is the gateway.', severity: 'medium' }))
      .thenAppends({
        type: 'IncidentDetailsAmended',
        data: { description: 'It is the gateway.' },
        ...during(9),
      })
  })

  it('clears the assignee with null', () => {
    const assigned: IncidentEvent = {
      type: 'IncidentAssigned',
      data: { from: null, to: 'Group 7' },
      ...during(1),
    }
    given(reported, assigned)
      .when(revise({ assignee: null }))
      .thenAppends({ type: 'IncidentAssigned', data: { from: 'Group 7', to: null }, ...during(9) })
  })
})

describe('the merge patch of labels (RFC 7396)', () => {
  const labelled = (labels: Record<string, string>): IncidentEvent => ({
    type: 'IncidentDetailsAmended',
    data: { labels },
    ...during(9),
  })

  it('sets what is named, leaves the rest and records the whole set', () => {
    given(reported)
      .when(revise({ labels: { region: 'eu' } }))
      .thenAppends(labelled({ service: 'checkout', region: 'eu' }))
    given(reported)
      .when(revise({ labels: { service: 'payment' } }))
      .thenAppends(labelled({ service: 'payment' }))
  })

  it('removes with null', () =>
    given(reported)
      .when(revise({ labels: { service: null } }))
      .thenAppends(labelled({})))

  it.each([{}, { service: 'checkout' }, { absent: null }])('changes nothing with %j', (labels) => {
    given(reported).when(revise({ labels })).thenNothing()
  })

  it('is not taken in by names that every object inherits', () => {
    given(reported)
      .when(revise({ labels: { constructor: 'x', toString: 'y' } }))
      .thenAppends(labelled({ service: 'checkout', constructor: 'x', toString: 'y' }))
    given(reported, labelled({ constructor: 'x' }))
      .when(revise({ labels: { region: 'eu' } }))
      .thenAppends(labelled({ constructor: 'x', region: 'eu' }))
    given(reported)
      .when(revise({ labels: { constructor: null } }))
      .thenNothing()
  })

  it('may fill the set to its limit and no further, counting what it removes', () => {
    const more = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`label.${n}`, 'x']))
    const full = limits.labels
    given(reported)
      .when(revise({ labels: more(full - 1) }))
      .thenAppends(labelled({ service: 'checkout', ...more(full - 1) }))
    given(reported)
      .when(revise({ labels: more(full) }))
      .thenRefused({ code: 'too-many-labels', limit: full })
    given(reported)
      .when(revise({ labels: { service: null, ...more(full) } }))
      .thenAppends(labelled(more(full)))
  })
})

describe('the limit of events', () => {
  const withEvents = (eventCount: number, status: Status = 'in_progress'): Incident => ({
    ...incidentAfter(historyTo[status]),
    revision: eventCount - 1,
    eventCount,
  })
  const full = { ok: false, refusal: { code: 'incident-full', limit: limits.eventsPerIncident } }

  it('lets the last event in', () => {
    expect(decide(addNote, withEvents(limits.eventsPerIncident - 1))).toEqual({ ok: true, events: [noted] })
  })

  it.each([
    addNote,
    revise({ severity: 'low' }),
    { type: 'ChangeStatus', body: { status: 'resolved' }, ...during(9) } as const,
  ])('refuses $type to an incident that is full', (command) =>
    expect(decide(command, withEvents(limits.eventsPerIncident))).toEqual(full),
  )

  it('refuses a revision as a whole when only a part of its events would fit', () => {
    const command = revise({ severity: 'low', assignee: 'Group 7' })
    expect(decide(command, withEvents(limits.eventsPerIncident - 1))).toEqual(full)
    expect(decide(command, withEvents(limits.eventsPerIncident - 2))).toMatchObject({ ok: true })
  })

  it('still grants what appends nothing', () => {
    const already = { type: 'ChangeStatus', body: { status: 'in_progress' }, ...during(9) } as const
    expect(decide(already, withEvents(limits.eventsPerIncident))).toEqual({ ok: true, events: [] })
  })

  it('still names the illegal transition of an incident that is full', () => {
    const command = { type: 'ChangeStatus', body: { status: 'closed' }, ...during(9) } as const
    expect(decide(command, withEvents(limits.eventsPerIncident))).toMatchObject({
      refusal: { code: 'illegal-transition' },
    })
  })
})

describe('the two time lines', () => {
  const times = (command: IncidentCommand, history: readonly IncidentEvent[]) => {
    const decision = decide(command, fold(history))
    return decision.ok ? decision.events.map(({ at, recordedAt }) => ({ at, recordedAt })) : []
  }
  /** Happened at minute 10 and became known at minute 20, as an import tells. */
  const imported: IncidentEvent = { ...reported, at: minute(10), recordedAt: minute(20) }

  it.each([
    { name: 'keeps times that run forwards', at: 15, recordedAt: 25, expected: { at: 15, recordedAt: 25 } },
    { name: 'keeps equal times', at: 10, recordedAt: 20, expected: { at: 10, recordedAt: 20 } },
    {
      name: 'clamps an earlier at to the last one',
      at: 5,
      recordedAt: 25,
      expected: { at: 10, recordedAt: 25 },
    },
    {
      name: 'clamps an earlier recordedAt to the last one',
      at: 15,
      recordedAt: 12,
      expected: { at: 15, recordedAt: 20 },
    },
    { name: 'clamps both', at: 5, recordedAt: 5, expected: { at: 10, recordedAt: 20 } },
    {
      name: 'clamps an at in the future to recordedAt',
      at: 99,
      recordedAt: 25,
      expected: { at: 25, recordedAt: 25 },
    },
    {
      name: 'clamps an at in the future to the clamped recordedAt',
      at: 99,
      recordedAt: 12,
      expected: { at: 20, recordedAt: 20 },
    },
  ])('$name', ({ at, recordedAt, expected }) => {
    const command = { ...addNote, at: minute(at), recordedAt: minute(recordedAt) }
    expect(times(command, [imported])).toEqual([
      { at: minute(expected.at), recordedAt: minute(expected.recordedAt) },
    ])
  })

  it('lets a report have happened before it was recorded, and not after', () => {
    expect(times(report({}, { at: minute(-9), recordedAt: minute(0) }), [])).toEqual([
      { at: minute(-9), recordedAt: minute(0) },
    ])
    expect(times(report({}, { at: minute(9), recordedAt: minute(0) }), [])).toEqual([during(0)])
  })

  it('gives all events of one command the same times', () => {
    expect(times(revise({ severity: 'low', assignee: 'Group 7' }), [imported])).toEqual([
      { at: minute(10), recordedAt: minute(20) },
      { at: minute(10), recordedAt: minute(20) },
    ])
  })

  it('does not turn a clock that ran backwards into a time before the report', () => {
    const events = [reported, moved('new', 'in_progress', 1)]
    expect(times({ ...addNote, ...during(-60) }, events)).toEqual([during(1)])
  })
})
