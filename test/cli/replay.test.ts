import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import {
  type IncidentId,
  type Instant,
  incidentId,
  instantOf,
  statuses,
} from '../../src/aggregates/incident/index.ts'
import { serviceNow } from '../../src/cli/import/servicenow.ts'
import {
  type ReplayFilter,
  type ReplayMoment,
  replayAll,
  replayList,
  replayOne,
} from '../../src/cli/replay.ts'
import { openMemoryStore } from '../ledger/support/memory-store.ts'
import { ledgerOn } from '../ledger/support/requests.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { extract, imported, statusesInTheLog, wholeLog } from './import/importing.ts'
import { recordedTerminal } from './recorded-terminal.ts'

const store = openMemoryStore()
await imported(serviceNow, extract, store)
const ledger = await ledgerOn(store)
const events = store.all.filter(({ stream }) => stream.startsWith('incident-'))
const some = incidentId.parse(events[0]?.stream.slice('incident-'.length))

async function counted(moment: ReplayMoment) {
  const terminal = recordedTerminal()
  const signal = new AbortController().signal
  await replayAll({ ledger, terminal, json: true, signal, ...moment })
  return JSON.parse(terminal.said.out)
}

async function listed(filter: ReplayFilter, moment: ReplayMoment) {
  const terminal = recordedTerminal()
  const signal = new AbortController().signal
  await replayList(filter, { ledger, terminal, json: true, signal, ...moment })
  return terminal.said.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

async function stateOf(id: IncidentId, moment: ReplayMoment) {
  const terminal = recordedTerminal()
  const signal = new AbortController().signal
  await replayOne(id, { ledger, terminal, json: true, signal, ...moment })
  return JSON.parse(terminal.said.out)
}

const before = '2016-02-28T00:00:00.000Z' as Instant
const between = '2016-03-05T00:00:00.000Z' as Instant

describe('the counts of a moment', () => {
  it('are of everything where no moment is named', async () => {
    expect(await counted({})).toMatchObject({
      type: 'replay',
      incidents: 60,
      events: 404,
      byStatus: { new: 0, in_progress: 0, on_hold: 0, resolved: 0, closed: 60 },
    })
  })

  it('are of nothing before the first event', async () => {
    expect(await counted({ asOf: before })).toMatchObject({ incidents: 0, events: 0 })
  })

  it('are what folding each incident to that moment gives', async () => {
    const ids = [...new Set(events.map(({ stream }) => incidentId.parse(stream.slice('incident-'.length))))]
    const states = await Promise.all(
      ids.map((id) => ledger.history.stateAt(id, { asOf: between }).catch(() => undefined)),
    )
    const byStatus: Record<string, number> = { new: 0, in_progress: 0, on_hold: 0, resolved: 0, closed: 0 }
    const bySeverity: Record<string, number> = { critical: 0, high: 0, medium: 0, low: 0 }
    for (const { incident } of states.filter((state) => state !== undefined)) {
      byStatus[incident.status] = (byStatus[incident.status] ?? 0) + 1
      bySeverity[incident.severity] = (bySeverity[incident.severity] ?? 0) + 1
    }
    const counts = await counted({ asOf: between })
    expect(counts).toMatchObject({ byStatus, bySeverity })
    expect(counts.incidents).toBeGreaterThan(0)
    expect(counts.later).toBeGreaterThan(0)
  })

  it('are of what the ledger knew by then, which is nothing of an import yet to come', async () => {
    expect(await counted({ asOf: between, knownAt: between })).toMatchObject({ incidents: 0 })
    const now = instantOf(Date.now())
    expect(await counted({ asOf: between, knownAt: now })).toMatchObject(
      (({ incidents, byStatus }) => ({ incidents, byStatus }))(await counted({ asOf: between })),
    )
  })

  it('are a table for people', async () => {
    const terminal = recordedTerminal()
    await replayAll({ ledger, terminal, json: false, signal: new AbortController().signal, asOf: between })
    expect(terminal.said.out).toMatch(/^As of 2016-03-05T00:00:00\.000Z, as known at now: \d+ incidents/)
    expect(terminal.said.out).toMatch(/^ {2}in_progress +\d+$/m)
  })
})

describe('the incidents that stood so', () => {
  const every = (lines: readonly { type: string }[]) => lines.filter(({ type }) => type === 'incident')

  it.each([
    [{ status: 'on_hold' }, { asOf: between }],
    [{ status: 'in_progress', severity: 'medium' }, { asOf: between }],
    [{ severity: 'low' }, {}],
    [{ source: 'operator', status: 'new' }, { asOf: between }],
    [{ source: 'partner' }, {}],
  ] as const)('%o at %o are those that folding each one finds', async (filter, moment) => {
    const ids = [...new Set(events.map(({ stream }) => incidentId.parse(stream.slice('incident-'.length))))]
    const at = 'asOf' in moment ? moment : { asOf: instantOf(Date.now()) }
    const states = await Promise.all(ids.map((id) => ledger.history.stateAt(id, at).catch(() => undefined)))
    const expected = states
      .flatMap((state) => (state ? [state.incident] : []))
      .filter((one) =>
        Object.entries({ ...one, ...filter }).every(([name, value]) => Reflect.get(one, name) === value),
      )
      .sort((a, b) => (a.reportedAt + a.id < b.reportedAt + b.id ? -1 : 1))
      .map(({ id, reportedAt, status, severity, source, title }) => ({
        id,
        reportedAt,
        status,
        severity,
        source,
        title,
      }))
    const lines = await listed(filter, moment)
    expect(every(lines)).toEqual(expected.map((incident) => ({ type: 'incident', incident })))
    expect(lines.at(-1)).toMatchObject({
      type: 'replay',
      ...filter,
      incidents: expected.length,
      unreadable: 0,
    })
    expect(expected.length > 0).toBe(!('source' in filter) || filter.source !== 'partner')
  })

  it('are as many as the file says, on the fifteenth of March 2016 at noon', async () => {
    const noon = '2016-03-15T12:00:00.000Z' as Instant
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'log.csv')
    await writeFile(file, gunzipSync(await readFile(wholeLog)))
    const whole = openMemoryStore()
    await imported(serviceNow, file, whole)
    const options = {
      ledger: await ledgerOn(whole),
      json: true,
      signal: new AbortController().signal,
      asOf: noon,
    }
    const terminal = recordedTerminal()
    await replayAll({ ...options, terminal })
    const { byStatus } = JSON.parse(terminal.said.out)
    expect(byStatus).toEqual({ new: 29, in_progress: 76, on_hold: 99, resolved: 156, closed: 530 })
    expect(byStatus).toEqual(await statusesInTheLog(noon))
    for (const status of statuses) {
      const terminal = recordedTerminal()
      await replayList({ status }, { ...options, terminal })
      expect(terminal.said.out.trimEnd().split('\n')).toHaveLength(byStatus[status] + 1)
    }
  })

  it('are lines for people, below what was asked and how many there are', async () => {
    const terminal = recordedTerminal()
    const options = { ledger, terminal, json: false, signal: new AbortController().signal }
    await replayList({ status: 'on_hold', severity: 'medium' }, { ...options, asOf: between })
    const [head, ...lines] = terminal.said.out.trimEnd().split('\n')
    expect(head).toBe(
      `As of 2016-03-05T00:00:00.000Z, as known at now: ${lines.length} incidents of status on_hold, severity medium`,
    )
    for (const line of lines)
      expect(line).toMatch(/^ {2}[0-9a-f-]{36} {2}2016-\S+ {2}on_hold {6}medium {4}\S/)
  })
})

describe('the state of one incident', () => {
  it('is the one that its history gives', async () => {
    const { incident } = await ledger.history.stateAt(some, { asOf: between })
    expect(await stateOf(some, { asOf: between })).toEqual({
      type: 'incident',
      asOf: between,
      provisional: false,
      incident,
    })
  })

  it('is none before it was reported, nor where it never was', async () => {
    await expect(stateOf(some, { asOf: before })).rejects.toThrow('not-yet-reported')
    const nobody = incidentId.parse('00000000-0000-4000-8000-000000000000')
    await expect(stateOf(nobody, {})).rejects.toThrow('incident-not-found')
  })
})

describe('an answer is marked as provisional where what is being appended now may still belong to it', () => {
  const old = between
  const young = () => instantOf(Date.now())
  it.each([
    ['of now', () => ({}), true],
    ['as of a moment ago', () => ({ asOf: young() }), true],
    ['as known a moment ago', () => ({ knownAt: young() }), true],
    ['as of then', () => ({ asOf: old }), false],
    ['as of now, as known then', () => ({ asOf: young(), knownAt: old }), false],
    ['as of a moment older than an append can take', () => ({ asOf: instantOf(Date.now() - 6_000) }), false],
  ])('%s', async (_, moment, provisional) => {
    expect(await counted(moment())).toMatchObject({ provisional })
  })

  it('of one incident, too, and for people', async () => {
    expect(await stateOf(some, { asOf: young() })).toMatchObject({ provisional: true })
    const terminal = recordedTerminal()
    const options = { ledger, terminal, json: false, signal: new AbortController().signal }
    await replayOne(some, { ...options, asOf: between })
    expect(terminal.said.out).not.toContain('provisional')
    await replayOne(some, options)
    expect(terminal.said.out).toContain('as known at now (provisional: ')
    await replayAll(options)
    expect(terminal.said.out).toMatch(/as known at now \(provisional: .*\): 60 incidents/)
  })
})
