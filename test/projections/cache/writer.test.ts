import pino from 'pino'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { CacheEpoch } from '../../../src/projections/announcements.ts'
import type { EpochRow } from '../../../src/projections/cache/epoch-row.ts'
import { openMemoryStore } from '../../../src/projections/cache/memory-store.ts'
import type { CacheStore } from '../../../src/projections/cache/store.ts'
import { createCacheWriter, type KeptCacheWriter } from '../../../src/projections/cache/writer.ts'
import { idOf } from './stored-incident.ts'

vi.mock('node:timers/promises', async () => await import('./faked-timers.ts'))

/** How long a lease may outlive the row that it was given by, and more. */
const allLeasesMs = 1_300
const id = idOf(1)

describe('The cache as the leader drives it', () => {
  let store: { -readonly [Part in keyof CacheStore]: CacheStore[Part] }
  let row: TestRow
  let writer: KeptCacheWriter
  let term: AbortController

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    store = { ...openMemoryStore() }
    row = testRow()
    term = new AbortController()
    writer = createCacheWriter({ store, row, log: pino({ level: 'silent' }) })
  })
  afterEach(() => {
    term.abort()
    vi.useRealTimers()
  })

  async function lead() {
    await within(allLeasesMs, writer.takeOver(term.signal))
    await writer.resume()
    await vi.advanceTimersByTimeAsync(1)
    expect(row.epoch).toBeDefined()
  }

  test('is taken over only when no lease on what was open before can be left', async () => {
    row.epoch = { name: 'of the leader before', place: 'there' }
    const taken = settled(writer.takeOver(term.signal))
    await vi.advanceTimersByTimeAsync(allLeasesMs - 1)
    expect(row.epoch).toBeUndefined()
    expect(taken.done).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(taken.done).toBe(true)
  })

  test('is taken over at once where nothing has been open for longer than a lease', async () => {
    row.retiredForSeconds = 2
    await within(0, writer.takeOver(term.signal))
  })

  test('stays closed until it is resumed, and costs nothing till then', async () => {
    await within(allLeasesMs, writer.takeOver(term.signal))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(row.epoch).toBeUndefined()
    const withhold = vi.spyOn(store, 'withhold')
    await writer.withhold([id])
    expect(withhold).not.toHaveBeenCalled()
  })

  test('has a commit wait for every lease when withholding failed, and the next ones not at all', async () => {
    await lead()
    store.withhold = () => Promise.reject(new Error('no Redis'))
    store.place = () => undefined
    const withheld = settled(writer.withhold([id]))
    await vi.advanceTimersByTimeAsync(allLeasesMs - 1)
    expect(row.epoch).toBeUndefined()
    expect(withheld.done).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(withheld.done).toBe(true)
    await within(0, writer.withhold([id]))
  })

  test('has a commit wait again when Redis fails again, though the last retirement is not yet written down', async () => {
    await lead()
    const answering = { ...store }
    row.settle = () => new Promise(() => {})
    store.place = () => undefined
    store.withhold = () => Promise.reject(new Error('no Redis'))
    await within(allLeasesMs, writer.withhold([id]))
    Object.assign(store, answering)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(row.epoch).toBeDefined()

    store.withhold = () => Promise.reject(new Error('no Redis'))
    const withheld = settled(writer.withhold([id]))
    await vi.advanceTimersByTimeAsync(allLeasesMs - 1)
    expect(withheld.done).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(withheld.done).toBe(true)
  })

  test('is retired without having a commit wait when the epoch can only take nothing in any more', async () => {
    await lead()
    const first = row.epoch
    const withhold = vi.fn(async () => 'lost' as const)
    store.withhold = withhold
    await within(0, writer.withhold([id]))
    await within(0, writer.withhold([id]))
    // As long as someone may read it, it is withheld from.
    expect(withhold).toHaveBeenCalledTimes(2)
    await vi.advanceTimersByTimeAsync(allLeasesMs + 1)
    expect(row.epoch).toBeDefined()
    expect(row.epoch).not.toEqual(first)
  })

  test('comes back by itself, in a new epoch, when Redis does', async () => {
    await lead()
    const answering = { ...store }
    store.place = () => undefined
    store.beat = () => Promise.reject(new Error('no Redis'))
    await vi.advanceTimersByTimeAsync(5_000)
    expect(row.epoch).toBeUndefined()
    Object.assign(store, answering)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(row.epoch).toBeDefined()
  })

  test('has the batch under way withheld in a new epoch before anyone may read that', async () => {
    await within(allLeasesMs, writer.takeOver(term.signal))
    await writer.withhold([id])
    const withhold = vi.spyOn(store, 'withhold')
    row.opening = () => {
      expect(withhold).toHaveBeenCalledWith(expect.anything(), expect.anything(), [id])
    }
    await writer.resume()
    await vi.advanceTimersByTimeAsync(1)
    expect(row.epoch).toBeDefined()
  })

  test('is not opened by a statement that a retirement has overtaken', async () => {
    await within(allLeasesMs, writer.takeOver(term.signal))
    await writer.withhold([id])
    // The batch is withheld in the new epoch for a long time; meanwhile the next batch fails to be.
    const slow = Promise.withResolvers<'held'>()
    store.withhold = vi
      .fn<CacheStore['withhold']>()
      .mockReturnValueOnce(slow.promise)
      .mockRejectedValue(new Error('no Redis'))
    await writer.resume()
    await vi.advanceTimersByTimeAsync(1)
    const withheld = settled(writer.withhold([id]))
    await vi.advanceTimersByTimeAsync(1)
    slow.resolve('held')
    await vi.advanceTimersByTimeAsync(1)
    expect(row.epoch).toBeUndefined()
    await vi.advanceTimersByTimeAsync(allLeasesMs)
    expect(withheld.done).toBe(true)
  })

  test('refuses to let a commit go on when another leader has taken it over', async () => {
    await lead()
    row.leader = 'another'
    await vi.advanceTimersByTimeAsync(1_000)
    await expect(writer.withhold([id])).rejects.toThrow('another leader')
  })

  test('refuses to let a commit go on when the term ends before it could be made safe', async () => {
    await lead()
    row.answers = false
    store.withhold = () => Promise.reject(new Error('no Redis'))
    const withheld = writer.withhold([id])
    const refused = expect(withheld).rejects.toThrow()
    await vi.advanceTimersByTimeAsync(60_000)
    term.abort()
    await refused
  })

  test('is off after a suspension has resolved', async () => {
    await lead()
    await within(allLeasesMs, writer.suspend())
    expect(row.epoch).toBeUndefined()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(row.epoch).toBeUndefined()
  })
})

type TestRow = { -readonly [Part in keyof EpochRow]: EpochRow[Part] } & {
  leader: string
  epoch: CacheEpoch | undefined
  retiredForSeconds: number | null
  answers: boolean
  /** Told just before the row names a new epoch. */
  opening: () => void
}

/** `ledger.cache_epoch`, in memory. */
function testRow(): TestRow {
  let version = 0
  const row: TestRow = {
    leader: '',
    epoch: undefined,
    retiredForSeconds: null,
    answers: true,
    opening: () => {},
    async takeOver(leader) {
      row.leader = leader
      row.epoch = undefined
      return { version: String(++version), secondsRetired: row.retiredForSeconds }
    },
    async open(leader, since, epoch) {
      if (leader !== row.leader || since !== String(version)) return false
      row.opening()
      row.epoch = epoch
      return true
    },
    async retire(leader) {
      if (!row.answers) throw new Error('no Postgres')
      if (leader !== row.leader) return undefined
      row.epoch = undefined
      return { version: String(++version) }
    },
    async settle() {},
    held: async (leader) => (leader === row.leader ? { epoch: row.epoch?.name ?? null } : undefined),
  }
  return row
}

/** Whether it has been settled yet. */
function settled(promise: Promise<unknown>): { readonly done: boolean } {
  const state = { done: false }
  promise.then(
    () => {
      state.done = true
    },
    () => {},
  )
  return state
}

async function within(ms: number, promise: Promise<unknown>) {
  const state = settled(promise)
  await vi.advanceTimersByTimeAsync(ms)
  expect(state.done).toBe(true)
}
