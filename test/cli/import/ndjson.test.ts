import { describe, expect, it } from 'vitest'
import { ndjson, ndjsonHelp } from '../../../src/cli/import/ndjson.ts'
import { openMemoryStore } from '../../ledger/support/memory-store.ts'
import { eventsIn, importedText } from './importing.ts'

const report = {
  externalKey: '4711',
  description: 'Disk full',
  source: 'monitoring',
  at: '2026-01-31T09:00:00Z',
}
const status = { type: 'status', externalKey: '4711', status: 'in_progress', at: '2026-01-31T09:05:00Z' }

async function tale(...lines: readonly (object | string)[]) {
  const store = openMemoryStore()
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n')
  const { summary, problems } = await importedText(ndjson, text, store)
  return { store, text, events: await eventsIn(store), summary, problems }
}

it('takes reports, changes of status, revisions and notes, in their order', async () => {
  const { events, problems } = await tale(
    { ...report, severity: 'high', labels: { host: 'db-7' }, actor: 'monitor 7' },
    { ...status, reason: 'On it', actor: 'Ada' },
    { type: 'revision', externalKey: '4711', assignee: 'Group 7', at: '2026-01-31T09:06:00Z' },
    { type: 'note', externalKey: '4711', text: 'Moved the logs', at: '2026-01-31T09:07:00Z' },
  )
  expect(problems).toEqual([])
  expect(events).toMatchObject([
    {
      type: 'IncidentReported',
      at: '2026-01-31T09:00:00.000Z',
      by: 'monitor 7',
      data: { title: 'Disk full', severity: 'high', externalKey: '4711', origin: 'import:test' },
    },
    { type: 'IncidentStatusChanged', by: 'Ada', data: { to: 'in_progress', reason: 'On it' } },
    { type: 'IncidentAssigned', by: 'import:test', data: { to: 'Group 7' } },
    { type: 'IncidentNoteAdded', data: { text: 'Moved the logs' } },
  ])
})

it('takes the lines that --help shows', async () => {
  const lines = ndjsonHelp.split('\n').filter((line) => line.startsWith('  {'))
  const { events, problems } = await tale(...lines)
  expect(lines).toHaveLength(4)
  expect(problems).toEqual([])
  expect(events.length).toBeGreaterThanOrEqual(4)
})

it('writes nothing more when it is run again', async () => {
  const { store, text } = await tale(report, status)
  const { summary } = await importedText(ndjson, text, store)
  expect(summary).toMatchObject({ eventsAppended: 0, rows: { written: 0, present: 2 } })
})

it('clamps times that run backwards and tells it', async () => {
  const { events, problems } = await tale(report, { ...status, at: '2026-01-31T08:00:00Z' })
  expect(problems).toMatchObject([{ kind: 'clamped', line: 2 }])
  expect(events[1]?.at).toBe('2026-01-31T09:00:00.000Z')
})

it('tells a line that the ledger refuses, and goes on', async () => {
  const { events, problems, summary } = await tale(report, { ...status, status: 'closed' }, status)
  expect(problems).toMatchObject([
    {
      kind: 'not-taken',
      line: 2,
      number: '4711',
      reason: expect.stringContaining('closed cannot follow new'),
    },
  ])
  expect(events).toHaveLength(2)
  expect(summary.rows).toEqual({ inFile: 3, written: 2, present: 0, unchanged: 0, notTaken: 1 })
})

describe('a line that cannot be taken', () => {
  it.each([
    ['{"externalKey":"4711",', 'is no JSON'],
    ['[1]', 'has no externalKey'],
    ['null', 'has no externalKey'],
    [{ type: 'note', text: 'x' }, 'has no externalKey'],
    [{ ...status, type: 'closing' }, 'type '],
    [{ ...status, status: 'active' }, 'status '],
    [{ ...status, at: 'yesterday' }, 'at must be an ISO 8601'],
    [{ ...status, colour: 'red' }, 'colour'],
    [{ type: 'note', externalKey: '4711' }, 'text '],
    [report, 'line 1 reported it before'],
    ['{"type":"revision","externalKey":"4711","labels":{"__proto__":"x"}}', '__proto__'],
  ])('is told with its line and left out: %j', async (line, reason) => {
    const { events, problems } = await tale(report, '', line, status)
    expect(problems).toMatchObject([{ kind: 'not-taken', line: 3 }])
    expect(problems[0]?.reason).toContain(reason)
    expect(events).toHaveLength(2)
  })

  it('is one that comes before the report of its incident', async () => {
    const { problems, events } = await tale(status, report)
    expect(problems).toMatchObject([
      { kind: 'not-taken', line: 1, reason: expect.stringContaining('before the report') },
    ])
    expect(events).toHaveLength(1)
  })
})
