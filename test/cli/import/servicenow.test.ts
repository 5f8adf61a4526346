import { describe, expect, it } from 'vitest'
import { serviceNow } from '../../../src/cli/import/servicenow.ts'
import { openMemoryStore } from '../../ledger/support/memory-store.ts'
import { csvOf, eventsIn, importedText } from './importing.ts'

type Row = Readonly<Record<string, string>>

async function tale(...rows: readonly Row[]) {
  const store = openMemoryStore()
  const { summary, problems } = await importedText(serviceNow, csvOf(...rows), store)
  return { events: await eventsIn(store), summary, problems }
}

async function changesOf(...rows: readonly Row[]) {
  const { events } = await tale(...rows)
  return events.filter(({ type }) => type !== 'IncidentReported').map(({ type, data }) => ({ type, ...data }))
}

const minute = (clock: string) => `2016-03-01T${clock}:00.000Z`

describe('the first row', () => {
  it('reports the incident at its own time where it is New', async () => {
    const { events, problems } = await tale({ at: '09:00' })
    expect(problems).toEqual([])
    expect(events).toEqual([
      {
        type: 'IncidentReported',
        at: minute('09:00'),
        by: 'Opened by 8',
        data: {
          title: 'Category 55, Subcategory 170: Symptom 72',
          description:
            'Category: Category 55\nSubcategory: Subcategory 170\nSymptom: Symptom 72\nContact type: Phone',
          severity: 'medium',
          source: 'operator',
          origin: 'import:test',
          externalKey: 'INC1',
          assignee: 'Group 56',
          labels: {},
          occurredAt: '2016-02-29T01:16:00.000Z',
        },
      },
    ])
  })

  it.each([
    { state: 'Active', path: ['in_progress'] },
    { state: 'Awaiting Vendor', path: ['on_hold'] },
    { state: 'Resolved', path: ['resolved'] },
    { state: 'Closed', path: ['resolved', 'closed'] },
  ])('that is $state reports it when it was opened and brings it there', async ({ state, path }) => {
    const { events } = await tale({ at: '09:00', state })
    expect(events.map(({ at, by }) => [at, by])).toEqual([
      ['2016-02-29T01:16:00.000Z', 'Opened by 8'],
      ...path.map(() => [minute('09:00'), 'Updated by 21']),
    ])
    expect(events.slice(1).map(({ data }) => data.to)).toEqual(path)
  })

  it('that is not New and says it was opened later reports it at its own time', async () => {
    const { events } = await tale({ at: '09:00', state: 'Active', opened_at: '01-03-2016 10:00' })
    expect(events.map(({ at }) => at)).toEqual([minute('09:00'), minute('09:00')])
  })

  it.each([
    ['1 - Critical', 'critical'],
    ['2 - High', 'high'],
    ['3 - Moderate', 'medium'],
    ['4 - Low', 'low'],
    ['?', 'medium'],
  ])('of priority %s is of severity %s', async (priority, severity) => {
    expect((await tale({ priority })).events[0]?.data.severity).toBe(severity)
  })

  it('may have no value but for number, state and time', async () => {
    const nothing = { opened_by: '?', opened_at: '?', sys_updated_by: '?', contact_type: '?', category: '?' }
    const { events, problems } = await tale({
      ...nothing,
      subcategory: '',
      u_symptom: '?',
      assignment_group: '?',
    })
    expect(problems).toEqual([])
    expect(events[0]).toMatchObject({
      by: 'import:test',
      data: { title: 'INC1', description: 'INC1', assignee: null },
    })
  })
})

describe('a row that changes something', () => {
  it('changes the status, with its time and person', async () => {
    const { events } = await tale({}, { at: '09:30', state: 'Active', sys_updated_by: 'Updated by 7' })
    expect(events[1]).toEqual({
      type: 'IncidentStatusChanged',
      data: { from: 'new', to: 'in_progress' },
      at: minute('09:30'),
      by: 'Updated by 7',
    })
  })

  it('says in the reason for what is waited, and notes that the wait became another', async () => {
    expect(await changesOf({}, { state: 'Awaiting User Info' }, { state: 'Awaiting Problem' })).toMatchObject(
      [
        { type: 'IncidentStatusChanged', to: 'on_hold', reason: 'Awaiting User Info' },
        { type: 'IncidentNoteAdded', text: 'Awaiting User Info → Awaiting Problem' },
      ],
    )
  })

  it('changes severity, assignee and details before it closes the incident', async () => {
    const last = { state: 'Closed', priority: '1 - Critical', assignment_group: '?', category: 'Category 9' }
    expect(await changesOf({ state: 'Resolved' }, { ...last, reassignment_count: '1' })).toMatchObject([
      { type: 'IncidentStatusChanged', to: 'resolved' },
      { type: 'IncidentDetailsAmended', title: 'Category 9, Subcategory 170: Symptom 72' },
      { type: 'IncidentSeverityChanged', from: 'medium', to: 'critical' },
      { type: 'IncidentAssigned', from: 'Group 56', to: null },
      { type: 'IncidentStatusChanged', to: 'closed' },
    ])
  })

  it('keeps the severity where it has no priority', async () => {
    expect(await changesOf({ priority: '2 - High' }, { priority: '?' })).toEqual([])
  })

  it('goes the legal way where the file leaves a state out, and says so', async () => {
    const { events, problems } = await tale(
      {},
      { state: 'Resolved' },
      { state: 'Awaiting Vendor', reopen_count: '1' },
    )
    expect(events.map(({ data }) => data.to)).toEqual([undefined, 'resolved', 'in_progress', 'on_hold'])
    expect(problems).toMatchObject([
      { kind: 'implied', line: 4, reason: expect.stringContaining('in_progress') },
    ])
  })
})

describe('a row that changes nothing', () => {
  it('brings no event and is counted', async () => {
    const { events, summary, problems } = await tale({}, { sys_updated_by: 'Updated by 9' }, {})
    expect(events).toHaveLength(1)
    expect(problems).toEqual([])
    expect(summary.rows).toEqual({ inFile: 3, written: 1, present: 0, unchanged: 2, notTaken: 0 })
  })
})

describe('times that run backwards', () => {
  it('are clamped to that of the row above, and told', async () => {
    const { events, problems } = await tale({ at: '11:10' }, { at: '09:52', state: 'Active' })
    expect(events.map(({ at }) => at)).toEqual([minute('11:10'), minute('11:10')])
    expect(problems).toMatchObject([{ kind: 'clamped', line: 3, number: 'INC1' }])
  })

  it('are clamped where they are still to come', async () => {
    const { problems } = await tale({ sys_updated_at: '01-03-2999 09:00' })
    expect(problems).toMatchObject([
      { kind: 'clamped', line: 2, reason: expect.stringContaining('still to come') },
    ])
  })
})

describe('the source’s own counts', () => {
  it('are told where they say otherwise, once for each difference', async () => {
    const { problems } = await tale(
      { reassignment_count: '2' },
      { reassignment_count: '3', assignment_group: 'Group 7' },
      { reassignment_count: '4', reopen_count: '1', assignment_group: 'Group 7' },
      { reassignment_count: '4', reopen_count: '1', assignment_group: 'Group 8' },
    )
    expect(problems.map(({ kind, line, reason }) => [kind, line, reason.split(' ')[0]])).toEqual([
      ['count-differs', 2, 'reassignment_count'],
      ['count-differs', 4, 'reassignment_count'],
      ['count-differs', 4, 'reopen_count'],
      ['count-differs', 5, 'reassignment_count'],
    ])
  })

  it('agree with a reopening and a reassignment', async () => {
    const { problems, summary } = await tale(
      { state: 'Resolved' },
      { state: 'Active', reopen_count: '1', reassignment_count: '1', assignment_group: 'Group 7' },
    )
    expect(problems).toEqual([])
    expect(summary.incidents.reopenings).toBe(1)
  })
})

describe('a row that cannot be taken', () => {
  it.each([
    [{ state: 'Cancelled' }, 'incident_state is "Cancelled"'],
    [{ state: '?' }, 'incident_state has no value'],
    [{ sys_updated_at: '31-02-2016 09:00' }, 'sys_updated_at is "31-02-2016 09:00"'],
    [{ sys_updated_at: '2016-03-01 09:00' }, 'sys_updated_at is "2016-03-01 09:00"'],
    [{ sys_updated_at: '?' }, 'sys_updated_at has no value'],
    [{ opened_at: 'yesterday' }, 'opened_at is "yesterday"'],
    [{ priority: '5 - Planning' }, 'priority is "5 - Planning"'],
    [{ reopen_count: '-1' }, 'reopen_count is no count'],
    [{ assignment_group: 'x'.repeat(256) }, 'assignment_group must have at most 255 characters'],
  ])('is told with its line: %j', async (bad, reason) => {
    const { events, problems, summary } = await tale({}, bad, { state: 'Active' })
    expect(problems).toMatchObject([{ kind: 'not-taken', line: 3, number: 'INC1' }])
    expect(problems[0]?.reason).toContain(reason)
    expect(events.map(({ data }) => data.to)).toEqual([undefined, 'in_progress'])
    expect(summary.rows).toEqual({ inFile: 3, written: 2, present: 0, unchanged: 0, notTaken: 1 })
  })

  it('leaves the report to the next one where it is the first', async () => {
    const { events, problems } = await tale({ state: 'Lost' }, { state: 'Active' })
    expect(problems).toMatchObject([{ kind: 'not-taken', line: 2 }])
    expect(events.map(({ type }) => type)).toEqual(['IncidentReported', 'IncidentStatusChanged'])
  })

  it('is one that has no number', async () => {
    const { problems } = await tale({ number: '?' }, {})
    expect(problems).toEqual([
      { kind: 'not-taken', line: 2, number: undefined, reason: 'number has no value' },
    ])
  })

  it('is one that moves an incident which is closed', async () => {
    const { problems, events, summary } = await tale(
      { state: 'Resolved' },
      { state: 'Closed' },
      { state: 'Active' },
      { state: 'Closed', priority: '4 - Low' },
    )
    expect(problems.map(({ kind, line }) => [kind, line])).toEqual([
      ['not-taken', 4],
      ['not-taken', 5],
    ])
    expect(events.map(({ data }) => data.to)).toEqual([undefined, 'resolved', 'closed'])
    expect(summary.rows.notTaken).toBe(2)
  })
})
