import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type IncidentId, instantOf, limits } from '../../src/aggregates/incident/index.ts'
import type { IncidentRecord } from '../../src/ledger/event.ts'
import type { ImportCommand, ImportStep, Ledger } from '../../src/ledger/ledger.ts'
import { type MemoryStore, openMemoryStore } from './support/memory-store.ts'
import { context, faultOf, keyed, ledgerOn, report } from './support/requests.ts'

const erase = { type: 'ErasePersonalData', body: { reason: 'request 17' } } as const
const note = (text: string) => ({ type: 'AddNote', noteId: randomUUID(), text }) as const
const status = (to: 'in_progress' | 'resolved' | 'closed') =>
  ({ type: 'ChangeStatus', body: { status: to, reason: 'Mr Miller called' } }) as const

const told = {
  title: 'Miller',
  description: 'Mr Miller called',
  assignee: 'miller',
  labels: { who: 'miller' },
}

async function reported(store = openMemoryStore()) {
  const ledger = await ledgerOn(store)
  const { incident } = await ledger.incidents.report(report(told), context())
  return { store, ledger, id: incident.id, change: changer(ledger, incident.id) }
}

function changer(ledger: Ledger, id: IncidentId) {
  return (command: Parameters<Ledger['incidents']['change']>[1], more = {}) =>
    ledger.incidents.change(id, command, context(more))
}

describe('an erasure', () => {
  test('leaves the history as it is, and nothing of what it said about a person', async () => {
    const { store, ledger, id, change } = await reported()
    await change(status('in_progress'))
    await change(note('Mr Miller again'))
    await change(erase)
    const records = await ledger.history.events(id)
    expect(records.map(({ event }) => event.type)).toEqual([
      'IncidentReported',
      'IncidentStatusChanged',
      'IncidentNoteAdded',
      'IncidentPersonalDataErased',
    ])
    expect(JSON.stringify(records.slice(0, 3), plain)).not.toMatch(/miller/i)
    expect(records[0]?.event).toMatchObject({
      data: { title: null, description: null, assignee: null, labels: null, severity: 'medium' },
      erased: ['title', 'description', 'assignee', 'labels'],
    })
    expect(records[3]).toMatchObject({
      event: { data: erase.body },
      metadata: { actor: { name: 'Night shift' } },
    })
    const { incident } = await ledger.history.stateAt(id, { revision: 1 })
    expect(incident).toMatchObject({
      title: null,
      description: null,
      assignee: null,
      labels: {},
      status: 'in_progress',
    })
    expect(incident.erased).toEqual(['title', 'description', 'assignee', 'labels'])
    expect(nullSlots(store)).toBe(1)
  })

  test('says the same to every process, also to one that knew the text', async () => {
    const { store, ledger, id, change } = await reported()
    const other = await ledgerOn(store)
    await changer(other, id)(note('Mr Miller again'))
    await change(erase)
    for (const one of [ledger, other, await ledgerOn(store)]) {
      expect(JSON.stringify((await one.history.events(id)).slice(0, 2), plain)).not.toMatch(/miller/i)
    }
  })

  test('to erase again when nothing was recorded since changes nothing', async () => {
    const { change } = await reported()
    expect(await change(erase)).toMatchObject({ outcome: 'changed' })
    expect(await change(erase)).toMatchObject({ outcome: 'unchanged', incident: { revision: 1 } })
  })

  test('what is recorded later has a new key, and can be erased in its turn', async () => {
    const { store, ledger, id, change } = await reported()
    await change(erase)
    await change({ type: 'Revise', body: { title: 'Door broken' } })
    await change(note('Mrs Smith'))
    const [first, , third, fourth] = await ledger.history.events(id)
    expect(third?.keyId).not.toBe(first?.keyId)
    expect(fourth?.keyId).toBe(third?.keyId)
    const { incident } = await ledger.history.stateAt(id, { revision: 3 })
    expect(incident).toMatchObject({ title: 'Door broken', description: null })
    expect(incident.erased).toEqual(['description', 'assignee', 'labels'])
    await change(erase)
    expect(JSON.stringify((await ledger.history.events(id)).slice(0, 4), plain)).not.toMatch(/smith|door/i)
    expect(nullSlots(store)).toBe(2)
  })

  test('is allowed on a closed incident, and a full one', async () => {
    const { change, ledger, id } = await reported()
    for (const to of ['in_progress', 'resolved', 'closed'] as const) await change(status(to))
    expect(await change(erase)).toMatchObject({ outcome: 'changed', incident: { status: 'closed' } })
    const at = instantOf(Date.parse('2026-01-31T09:00:00Z'))
    const step = (ordinal: number, command: ImportCommand): ImportStep => ({
      ordinal,
      at,
      actor: context().actor,
      commands: [command],
    })
    const origin = 'import:test'
    const steps = [
      step(0, { type: 'Report', body: report(told).body }),
      ...Array.from({ length: limits.eventsPerIncident - 1 }, (_, n) => step(n + 1, note('full'))),
    ]
    const full = await ledger.importIncident({ origin, externalKey: '1', correlationId: 'x', steps })
    expect(await faultOf(ledger.incidents.change(full.id, note('more'), context()))).toMatchObject({
      code: 'incident-full',
    })
    expect(await ledger.incidents.change(full.id, erase, context())).toMatchObject({ outcome: 'changed' })
    expect(await ledger.history.events(full.id)).toHaveLength(limits.eventsPerIncident + 1)
    expect(await ledger.incidents.change(full.id, erase, context())).toMatchObject({ outcome: 'unchanged' })
    expect(await ledger.history.events(id)).toHaveLength(5)
  })

  test('of an incident that there is not is refused', async () => {
    const ledger = await ledgerOn(openMemoryStore())
    const nobody = '00000000-0000-4000-8000-000000000000' as IncidentId
    expect(await faultOf(changer(ledger, nobody)(erase))).toEqual({ code: 'incident-not-found' })
  })

  test('answers a repeated request as at first, without what is gone', async () => {
    const { ledger, id } = await reported()
    const command = note('Mr Miller again')
    await ledger.incidents.change(id, command, keyed('n'))
    await ledger.incidents.change(id, erase, context())
    const again = await ledger.incidents.change(id, command, keyed('n'))
    expect(again).toMatchObject({ outcome: 'changed', incident: { revision: 1, title: null } })
    expect(await ledger.history.events(id)).toHaveLength(3)
  })
})

describe('a writer at the same time', () => {
  test('that decided on the text before cannot bring it back, and loses nothing that it was answered for', async () => {
    const { store, id, change } = await reported()
    const other = await ledgerOn(store)
    const theirs = changer(other, id)
    await theirs(note('first')) // so that its process knows the state, with the text
    let erased = false
    store.beforeAppend = async (stream) => {
      if (!stream.startsWith('incident-') || erased) return
      erased = true
      await change(erase)
    }
    const answer = await theirs({ type: 'Revise', body: { labels: { more: 'yes' } } })
    expect(answer).toMatchObject({
      outcome: 'changed',
      incident: { title: null, labels: { more: 'yes' }, revision: 3 },
    })
    const records = await other.history.events(id)
    expect(records.map(({ event }) => event.type)).toEqual([
      'IncidentReported',
      'IncidentNoteAdded',
      'IncidentPersonalDataErased',
      'IncidentDetailsAmended',
    ])
    expect(records[3]?.keyId).not.toBe(records[0]?.keyId)
    expect(JSON.stringify(records, plain)).not.toMatch(/miller/i)
  })
})

describe('a crash', () => {
  test('between the erasure and the vault leaves a key that opens nothing, and that is removed when it is projected', async () => {
    const { store, change } = await reported()
    const untouched = new Map(store.vaults.map(({ stream, data }) => [stream, data]))
    await change(erase)
    for (const vault of store.vaults) Object.assign(vault, { data: untouched.get(vault.stream) }) // as if it had died before
    expect(nullSlots(store)).toBe(0)

    const later = await ledgerOn(store)
    const { signal } = new AbortController()
    const seen: IncidentRecord[] = []
    for await (const { records, caughtUp } of later.subscribe({ batchSize: 1, signal })) {
      for (const record of records) if (record.kind === 'incident') seen.push(record)
      if (caughtUp) break
    }
    expect(JSON.stringify(seen, plain)).not.toMatch(/miller/i)
    await later.completeErasure(seen.flatMap(({ erasedKeyIds = [] }) => erasedKeyIds))
    expect(nullSlots(store)).toBe(1)
    await later.completeErasure(seen.flatMap(({ erasedKeyIds = [] }) => erasedKeyIds))
    expect(nullSlots(store)).toBe(1)
  })
})

describe('the secret', () => {
  const second = { version: 2, value: 'another secret of a test' }
  const first = { version: 1, value: 'a secret of a test' }

  test('that is another one stops the start with one line, and nothing is written', async () => {
    const { store } = await reported()
    const { length } = store.all
    const secret = { current: { version: 1, value: 'a wrong one' }, previous: [] }
    await expect(ledgerOn(store, { secret })).rejects.toThrow(
      /^LEDGER_SECRET is not the secret of this ledger[^\n]*$/,
    )
    await expect(ledgerOn(store, { secret: { current: second, previous: [] } })).rejects.toThrow('version 1')
    expect(store.all).toHaveLength(length)
  })

  test('is rotated while others write, and the older one is then needed for no text', async () => {
    const { store, id, ledger } = await reported()
    const rotated = { current: second, previous: [first] }
    const writing = await ledgerOn(store, { secret: rotated })
    const rewritten = await writing.rewrapKeys({ signal: new AbortController().signal })
    expect(rewritten).toBeGreaterThan(0)
    await changer(ledger, id)(note('written meanwhile by a process that knows the key'))
    expect(await writing.rewrapKeys({ signal: new AbortController().signal })).toBe(0)

    const later = await ledgerOn(store, { secret: { current: second, previous: [] } })
    const records = await later.history.events(id)
    expect(records[0]?.event.data).toMatchObject(told)
    expect(store.vaults.every(({ data }) => !JSON.stringify(data).includes('"1.'))).toBe(true)
    await expect(ledgerOn(store)).rejects.toThrow('version 2')
  })

  test('that is missing for a vault is an alarm, not an erasure', async () => {
    const { store, id } = await reported()
    for (const vault of store.vaults) {
      const { keys = [] } = Object(vault.data)
      Object.assign(vault, { data: { keys: keys.map((key: string) => key.replace(/^1\./, '7.')) } })
    }
    const later = await ledgerOn(store)
    expect(await faultOf(later.history.events(id))).toMatchObject({ code: 'history-unreadable', revision: 0 })
  })
})

test('keys are made ahead: a create waits for one append only, and an orphaned key harms nothing', async () => {
  const store = openMemoryStore()
  const ledger = await ledgerOn(store, { keysAhead: true })
  await Promise.all(Array.from({ length: 300 }, () => ledger.incidents.report(report(), context())))
  const ids = new Set((await everything(ledger)).map(({ keyId }) => keyId))
  expect(ids.size).toBe(300)
  const refused = await Promise.all(
    Array.from({ length: 10 }, () => ledger.incidents.report(report({ externalKey: 'the same' }), context())),
  )
  expect(new Set(refused.map(({ incident }) => incident.id)).size).toBe(1)
})

test('to read the ledger from the start costs no read of a vault, but where one was written anew', async () => {
  const store = openMemoryStore()
  const ledger = await ledgerOn(store)
  const ids: IncidentId[] = []
  for (let n = 0; n < 300; n += 1)
    ids.push((await ledger.incidents.report(report(told), context())).incident.id)
  const reading = await ledgerOn(store)
  const before = store.vaultReads
  expect((await everything(reading)).every(({ event }) => event.erased === undefined)).toBe(true)
  expect(store.vaultReads).toBe(before)

  for (const id of ids.slice(0, 3)) await changer(ledger, id)(erase)
  const later = await ledgerOn(store)
  const beforeLater = store.vaultReads
  const erased = (await everything(later)).filter(({ event }) => event.erased)
  expect(erased).toHaveLength(3)
  expect(store.vaultReads - beforeLater).toBeLessThanOrEqual(3)
})

test('the disclosures of an incident prove its text, and are none of what was erased', async () => {
  const { ledger, id, change } = await reported()
  const [before] = await ledger.history.disclosures(id)
  expect(before?.title?.value).toBe('Miller')
  expect(before?.['actor.name']?.value).toBe('Night shift')
  await change(erase)
  const [first, last] = await ledger.history.disclosures(id)
  expect(first).toEqual({})
  expect(last?.reason?.value).toBe('request 17')
})

async function everything(ledger: Ledger): Promise<IncidentRecord[]> {
  const { signal } = new AbortController()
  const found: IncidentRecord[] = []
  for await (const { records, caughtUp } of ledger.subscribe({ batchSize: 1_000, signal })) {
    for (const record of records) if (record.kind === 'incident') found.push(record)
    if (caughtUp) break
  }
  return found
}

function nullSlots(store: MemoryStore): number {
  return store.vaults.flatMap(({ data }): unknown[] => Object(data).keys ?? []).filter((key) => key === null)
    .length
}

function plain(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}
