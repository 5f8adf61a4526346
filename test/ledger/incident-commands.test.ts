import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type IncidentId, instantOf } from '../../src/aggregates/incident/index.ts'
import { openMemoryStore } from './support/memory-store.ts'
import { context, faultOf, keyed, ledgerOn, pinned, report } from './support/requests.ts'

const changeStatus = (status: 'in_progress' | 'resolved' | 'closed' | 'on_hold') =>
  ({ type: 'ChangeStatus', body: { status } }) as const
const note = (text: string) => ({ type: 'AddNote', noteId: randomUUID(), text }) as const
const nobody = '00000000-0000-4000-8000-000000000000' as IncidentId

describe('a report', () => {
  test('costs one append and no read', async () => {
    const store = openMemoryStore()
    const { incidents } = await ledgerOn(store)
    const { appends, reads } = store
    const answer = await incidents.report(report(), context())
    expect(answer).toMatchObject({ outcome: 'created', incident: { status: 'new', revision: 0 } })
    expect(store.appends - appends).toBe(1)
    expect(store.reads - reads).toBe(0)
  })

  test('that is repeated with its key gets the first answer, also after the incident has moved on', async () => {
    const { incidents } = await ledgerOn(openMemoryStore())
    const first = await incidents.report(report(), keyed('a'))
    await incidents.change(first.incident.id, changeStatus('in_progress'), context())
    expect(await incidents.report(report(), keyed('a'))).toEqual(first)
  })

  test('under a key that another request used is refused', async () => {
    const { incidents } = await ledgerOn(openMemoryStore())
    await incidents.report(report(), keyed('a', 'this'))
    expect(await faultOf(incidents.report(report(), keyed('a', 'that')))).toEqual({
      code: 'idempotency-key-reused',
    })
  })

  test('is known again under an earlier secret', async () => {
    const store = openMemoryStore()
    const first = await (await ledgerOn(store)).incidents.report(report(), keyed('a'))
    const previous = [{ version: 1, value: 'a secret of a test' }]
    const later = await ledgerOn(store, { secret: { current: { version: 2, value: 'another' }, previous } })
    expect(await later.incidents.report(report(), keyed('a'))).toEqual(first)
    expect(await faultOf(later.incidents.report(report(), keyed('a', 'that')))).toEqual({
      code: 'idempotency-key-reused',
    })
  })

  test('cannot take an id that was made otherwise', async () => {
    const store = openMemoryStore()
    const { incidents } = await ledgerOn(store)
    const { incident } = await incidents.report(report(), keyed('a'))
    const [, event] = store.all
    if (!event) throw new Error('nothing was appended')
    // As if the incident had been there before, without the mark.
    Object.assign(event, { metadata: { ...Object(event.metadata), idempotency: undefined } })
    expect(event.stream).toBe(`incident-${incident.id}`)
    expect(await faultOf(incidents.report(report(), keyed('a')))).toEqual({ code: 'incident-exists' })
  })
})

describe('a change', () => {
  test('to what already is appends nothing', async () => {
    const store = openMemoryStore()
    const { incidents } = await ledgerOn(store)
    const { incident } = await incidents.report(report(), context())
    await incidents.change(incident.id, changeStatus('on_hold'), context())
    const { length } = store.all
    const answer = await incidents.change(incident.id, changeStatus('on_hold'), context())
    expect(answer).toMatchObject({ outcome: 'unchanged', records: [], incident: { revision: 1 } })
    expect(answer.position).toEqual(store.all.at(-1)?.position)
    expect(store.all.length).toBe(length)
  })

  test('is refused on what the store holds, not on what was kept from before', async () => {
    const store = openMemoryStore()
    const here = await ledgerOn(store)
    const there = await ledgerOn(store)
    const { incident } = await here.incidents.report(report(), context())
    await here.incidents.change(incident.id, changeStatus('resolved'), context())
    await there.incidents.change(incident.id, changeStatus('in_progress'), context())
    // To `here` it is still resolved, from which nothing leads to on_hold.
    expect(await here.incidents.change(incident.id, changeStatus('on_hold'), context())).toMatchObject({
      outcome: 'changed',
      incident: { status: 'on_hold', reopenCount: 1, revision: 3 },
    })
  })

  test('is pinned to a revision by If-Match', async () => {
    const { incidents } = await ledgerOn(openMemoryStore())
    const { incident } = await incidents.report(report(), context())
    await incidents.change(incident.id, note('one'), context({ expectedRevision: 0 }))
    const late = incidents.change(incident.id, note('two'), context({ expectedRevision: 0 }))
    expect(await faultOf(late)).toEqual({ code: 'revision-mismatch', expected: 0, actual: 1 })
  })

  test('that is repeated with its key is known before If-Match is looked at', async () => {
    const { incidents } = await ledgerOn(openMemoryStore())
    const { incident } = await incidents.report(report(), context())
    const request = keyed('a', 'note', { expectedRevision: 0 })
    const first = await incidents.change(incident.id, note('one'), request)
    await incidents.change(incident.id, note('two'), context())
    expect(await incidents.change(incident.id, note('one'), request)).toEqual(first)
    expect(first).toMatchObject({ outcome: 'changed', incident: { revision: 1 } })
  })

  test('of several events is told whole when it is repeated', async () => {
    const { incidents } = await ledgerOn(openMemoryStore())
    const { incident } = await incidents.report(report(), context())
    const revise = { type: 'Revise', body: { severity: 'low', title: 'Disk', assignee: 'Ann' } } as const
    const first = await incidents.change(incident.id, revise, keyed('a'))
    expect(first.records.map(({ event }) => event.type)).toEqual([
      'IncidentDetailsAmended',
      'IncidentSeverityChanged',
      'IncidentAssigned',
    ])
    expect(await incidents.change(incident.id, revise, keyed('a'))).toEqual(first)
  })

  test('of an incident that is none is refused', async () => {
    const { incidents } = await ledgerOn(openMemoryStore())
    expect(await faultOf(incidents.change(nobody, note('one'), context()))).toEqual({
      code: 'incident-not-found',
    })
  })

  test('that always finds another writer there first gives up in time', async () => {
    const store = openMemoryStore()
    const { incidents } = await ledgerOn(store)
    const rival = await ledgerOn({ ...store, append: store.append })
    const { incident } = await incidents.report(report(), context())
    let depth = 0
    store.beforeAppend = async () => {
      depth += 1
      if (depth === 1) await rival.incidents.change(incident.id, note('rival'), context())
      depth -= 1
    }
    expect(await faultOf(incidents.change(incident.id, note('one'), context()))).toEqual({
      code: 'contended',
    })
  })

  test('of a history that cannot be read is refused, naming the event', async () => {
    const store = openMemoryStore()
    const { incidents } = await ledgerOn(store)
    const { incident } = await incidents.report(report(), context())
    await store.append(
      `incident-${incident.id}`,
      [{ id: randomUUID(), type: 'IncidentEaten', data: {}, metadata: {} }],
      0,
      1_000,
    )
    const fault = await faultOf(incidents.change(incident.id, note('one'), context()))
    expect(fault).toEqual({ code: 'history-unreadable', stream: `incident-${incident.id}`, revision: 1 })
  })
})

describe('an append of which nothing is heard', () => {
  test.each([['unanswered'], ['lost']] as const)('is done once: %s', async (mishap) => {
    const store = openMemoryStore()
    const { incidents, history } = await ledgerOn(store)
    const { incident } = await incidents.report(report(), context())
    store.mishaps.push(mishap)
    const answer = await incidents.change(incident.id, note('one'), context())
    expect(answer).toMatchObject({ outcome: 'changed', incident: { revision: 1 } })
    expect(await history.events(incident.id)).toHaveLength(2)
  })

  test('stays unknown at the deadline, and a repetition with the key finds it', async () => {
    const store = openMemoryStore()
    const impatient = await ledgerOn(store, { appendDeadlineMs: 100 })
    store.mishaps.push('unanswered', ...Array<'lost'>(100).fill('lost'))
    expect(await faultOf(impatient.incidents.report(report(), keyed('a')))).toEqual({
      code: 'outcome-unknown',
    })
    store.mishaps.length = 0
    const answer = await impatient.incidents.report(report(), keyed('a'))
    expect(answer).toMatchObject({ outcome: 'created' })
    expect(store.all.filter(({ type }) => type === 'IncidentReported')).toHaveLength(1)
  })

  test('that was never sent is no riddle', async () => {
    const store = openMemoryStore()
    const { incidents } = await ledgerOn(store)
    store.mishaps.push('unsent', 'unsent', 'unsent', 'unsent')
    expect(await faultOf(incidents.report(report(), context()))).toEqual({
      code: 'event-store-unavailable',
      reason: 'unsent',
    })
    store.mishaps.push('unsent', 'none')
    expect(await incidents.report(report(), context())).toMatchObject({ outcome: 'created' })
  })

  test('that was refused before it was ever lost appended nothing', async () => {
    const store = openMemoryStore()
    const { incidents } = await ledgerOn(store)
    store.mishaps.push('refused')
    expect(await faultOf(incidents.report(report(), context()))).toMatchObject({
      code: 'event-store-unavailable',
    })
    store.mishaps.push('lost', 'refused')
    expect(await faultOf(incidents.report(report(), context()))).toEqual({ code: 'outcome-unknown' })
  })
})

describe('an external key', () => {
  test('joins reports while the incident is open, and begins another after it', async () => {
    const { incidents } = await ledgerOn(openMemoryStore())
    const first = await incidents.report(report({ externalKey: 'alarm' }), context())
    const second = await incidents.report(report({ externalKey: 'alarm' }), context())
    expect(second).toMatchObject({ outcome: 'joined', records: [], incident: { id: first.incident.id } })
    await incidents.change(first.incident.id, changeStatus('resolved'), context())
    const third = await incidents.report(report({ externalKey: 'alarm' }), context())
    expect(third.outcome).toBe('created')
    expect(third.incident.id).not.toBe(first.incident.id)
    // Only the last link counts, also when an earlier one is open again.
    await incidents.change(first.incident.id, changeStatus('in_progress'), context())
    const fourth = await incidents.report(report({ externalKey: 'alarm' }), context())
    expect(fourth).toMatchObject({ outcome: 'joined', incident: { id: third.incident.id } })
  })

  test('is of its origin', async () => {
    const { incidents } = await ledgerOn(openMemoryStore())
    const one = await incidents.report(report({ externalKey: 'alarm' }, 'one'), context())
    const other = await incidents.report(report({ externalKey: 'alarm' }, 'other'), context())
    expect(other.outcome).toBe('created')
    expect(other.incident.id).not.toBe(one.incident.id)
  })

  test.each([undefined, -1, 0, 7, 19, 20, 500])(
    'finds the end of a long chain from the hint %s',
    async (hint) => {
      const store = openMemoryStore()
      const { incidents } = await ledgerOn(store)
      for (let n = 0; n < 20; n += 1) {
        const { incident } = await incidents.report(report({ externalKey: 'alarm' }), context())
        await incidents.change(incident.id, changeStatus('resolved'), context())
      }
      const hinted = await ledgerOn(store, hint === undefined ? {} : { chainLowerBound: async () => hint })
      expect((await hinted.incidents.report(report({ externalKey: 'alarm' }), context())).outcome).toBe(
        'created',
      )
      expect(
        new Set(store.all.filter(({ type }) => type === 'IncidentReported').map((e) => e.stream)).size,
      ).toBe(21)
    },
  )

  test('does without a hint that cannot be had', async () => {
    const chainLowerBound = () => Promise.reject(new Error('no read model'))
    const { incidents } = await ledgerOn(openMemoryStore(), { chainLowerBound })
    expect((await incidents.report(report({ externalKey: 'alarm' }), context())).outcome).toBe('created')
  })
})

describe('a pinned request', () => {
  test('that reports something new costs two appends and no read', async () => {
    const store = openMemoryStore()
    const { incidents } = await ledgerOn(store)
    const { appends, reads } = store
    const created = await incidents.report(report(), pinned('a'))
    expect(store.appends - appends).toBe(2)
    expect(store.reads - reads).toBe(0)
    expect(await incidents.report(report(), pinned('a'))).toEqual(created)
  })

  test('that joined has joined for good', async () => {
    const { incidents } = await ledgerOn(openMemoryStore())
    const { incident } = await incidents.report(report({ externalKey: 'alarm' }), context())
    const joined = await incidents.report(report({ externalKey: 'alarm' }), keyed('a'))
    expect(joined).toMatchObject({ outcome: 'joined', incident: { id: incident.id, revision: 0 } })
    await incidents.change(incident.id, changeStatus('resolved'), context())
    expect(await incidents.report(report({ externalKey: 'alarm' }), keyed('a'))).toEqual(joined)
  })

  test('that created is the same incident ever after', async () => {
    const { incidents } = await ledgerOn(openMemoryStore())
    const created = await incidents.report(report({ externalKey: 'alarm' }), keyed('a'))
    expect(created.outcome).toBe('created')
    await incidents.change(created.incident.id, changeStatus('resolved'), context())
    await incidents.report(report({ externalKey: 'alarm' }), context())
    expect(await incidents.report(report({ externalKey: 'alarm' }), keyed('a'))).toEqual(created)
  })

  test('that was refused is refused for good', async () => {
    let now = Date.parse('2026-01-01T00:00:00Z')
    const { incidents } = await ledgerOn(openMemoryStore(), { clock: () => now })
    const early = report({ occurredAt: instantOf(now + 3_600_000) })
    const refusal = await faultOf(incidents.report(early, pinned('a')))
    expect(refusal).toMatchObject({ code: 'occurred-in-future' })
    now += 86_400_000
    expect(await faultOf(incidents.report(early, pinned('a')))).toEqual(refusal)
  })

  test('under the key of another is refused', async () => {
    const { incidents } = await ledgerOn(openMemoryStore())
    await incidents.report(report({ externalKey: 'alarm' }), keyed('a', 'this'))
    const other = incidents.report(report({ externalKey: 'alarm' }), keyed('a', 'that'))
    expect(await faultOf(other)).toEqual({ code: 'idempotency-key-reused' })
  })

  test('whose target moved on before it was done is decided anew, once for all', async () => {
    const store = openMemoryStore()
    const { incidents } = await ledgerOn(store)
    const rival = await ledgerOn(store)
    let isFirst = true
    store.beforeAppend = async (stream) => {
      if (!stream.startsWith('incident-') || !isFirst) return
      isFirst = false
      await rival.incidents.report(report({ externalKey: 'alarm' }), context())
    }
    const joined = await incidents.report(report({ externalKey: 'alarm' }), keyed('a'))
    expect(joined.outcome).toBe('joined')
    await incidents.change(joined.incident.id, changeStatus('resolved'), context())
    expect(await incidents.report(report({ externalKey: 'alarm' }), keyed('a'))).toEqual(joined)
  })

  test('to change what already is remembers that', async () => {
    const { incidents } = await ledgerOn(openMemoryStore())
    const { incident } = await incidents.report(report(), context())
    await incidents.change(incident.id, changeStatus('in_progress'), context())
    const unchanged = await incidents.change(incident.id, changeStatus('in_progress'), pinned('a'))
    expect(unchanged.outcome).toBe('unchanged')
    await incidents.change(incident.id, changeStatus('on_hold'), context())
    expect(await incidents.change(incident.id, changeStatus('in_progress'), pinned('a'))).toEqual(unchanged)
  })
})

describe('a change of the latest incident under an external key', () => {
  const alarm = { origin: 'key-1', externalKey: 'alarm' }
  const reported = () => report({ externalKey: 'alarm' })

  test('changes the last of the chain, and the next one once there is one', async () => {
    const { incidents } = await ledgerOn(openMemoryStore())
    const first = await incidents.report(reported(), context())
    const resolved = await incidents.changeLatest(alarm, changeStatus('resolved'), context())
    expect(resolved).toMatchObject({ outcome: 'changed', incident: { id: first.incident.id, revision: 1 } })
    const second = await incidents.report(reported(), context())
    const held = await incidents.changeLatest(alarm, changeStatus('on_hold'), pinned('a'))
    expect(held).toMatchObject({ outcome: 'changed', incident: { id: second.incident.id, revision: 1 } })
  })

  test('that is pinned is done once, on the incident that it was decided on', async () => {
    const { incidents } = await ledgerOn(openMemoryStore())
    await incidents.report(reported(), context())
    const resolved = await incidents.changeLatest(alarm, changeStatus('resolved'), pinned('a'))
    await incidents.report(reported(), context())
    expect(await incidents.changeLatest(alarm, changeStatus('resolved'), pinned('a'))).toEqual(resolved)
    const other = await incidents.changeLatest(alarm, changeStatus('resolved'), pinned('b'))
    expect(other.incident.id).not.toBe(resolved.incident.id)
  })

  test('is refused where the key or the origin is another, pinned for good', async () => {
    const { incidents } = await ledgerOn(openMemoryStore())
    const early = () => faultOf(incidents.changeLatest(alarm, changeStatus('resolved'), pinned('a')))
    expect(await early()).toEqual({ code: 'incident-not-found' })
    await incidents.report(reported(), context())
    expect(await early()).toEqual({ code: 'incident-not-found' })
    const elsewhere = { ...alarm, origin: 'key-2' }
    const late = incidents.changeLatest(elsewhere, changeStatus('resolved'), context())
    expect(await faultOf(late)).toEqual({ code: 'incident-not-found' })
  })
})
