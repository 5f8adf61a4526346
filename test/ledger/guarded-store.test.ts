import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { guardedStore, leaseMs } from '../../src/ledger/guarded-store.ts'
import { genesisStream } from '../../src/ledger/streams.ts'
import { tenureTypes } from '../../src/ledger/tenure.ts'
import { openMemoryStore } from './support/memory-store.ts'
import { context, faultOf, ledgerOn, report } from './support/requests.ts'

const timeoutMs = 5_000
const event = () => ({ id: randomUUID(), type: 'OfATest', data: {}, metadata: {} })
const retiring = () => ({
  ...event(),
  type: tenureTypes.retiring,
  data: { to: 'esdb://there', copy: 'a copy', at: '2026-01-01T00:00:00.000Z' },
})

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

test('looks once for many appends, and again when the lease is over', async () => {
  const store = openMemoryStore()
  const guarded = guardedStore(store)
  for (let i = 0; i < 10; i += 1) await guarded.append(`incident-${i}`, [event()], -1, timeoutMs)
  expect(store.reads).toBe(1)
  vi.advanceTimersByTime(leaseMs)
  await guarded.append('incident-a', [event()], -1, timeoutMs)
  expect(store.reads).toBe(2)
})

test('appends nothing to a ledger that is retired, and says where it is', async () => {
  const store = openMemoryStore()
  const guarded = guardedStore(store)
  await store.append(genesisStream, [retiring()], -1, timeoutMs)
  expect(await guarded.append('incident-a', [event()], -1, timeoutMs)).toEqual({
    outcome: 'retired',
    to: 'esdb://there',
  })
  expect(store.appends).toBe(1)
})

test('tells nobody of success whose append came when the ledger may have been copied already', async () => {
  const store = openMemoryStore()
  const ledger = await ledgerOn(store)
  store.beforeAppend = async (stream) => {
    if (stream === genesisStream) return
    // The process sleeps between its look and its append.
    store.beforeAppend = async () => {}
    await store.append(genesisStream, [retiring()], 0, timeoutMs)
    vi.advanceTimersByTime(leaseMs)
  }
  expect(await faultOf(ledger.incidents.report(report(), context()))).toEqual({ code: 'outcome-unknown' })
  expect(await faultOf(ledger.incidents.report(report(), context()))).toEqual({
    code: 'ledger-retired',
    to: 'esdb://there',
  })
})

test('an append that came before is told as it was, though the mark came meanwhile', async () => {
  const store = openMemoryStore()
  const ledger = await ledgerOn(store)
  store.beforeAppend = async (stream) => {
    if (stream === genesisStream) return
    store.beforeAppend = async () => {}
    await store.append(genesisStream, [retiring()], 0, timeoutMs)
  }
  expect((await ledger.incidents.report(report(), context())).outcome).toBe('created')
})

test('sends nothing where it cannot be found out whose turn it is', async () => {
  const store = openMemoryStore()
  const guarded = guardedStore(store)
  store.away = true
  expect(await guarded.append('incident-a', [event()], -1, timeoutMs)).toMatchObject({ outcome: 'unsent' })
  expect(store.appends).toBe(0)
})
