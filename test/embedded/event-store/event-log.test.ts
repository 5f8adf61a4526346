import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import {
  EventStoreOpenError,
  logFile,
  openDatabase,
  openForReading,
} from '../../../src/embedded/event-store/database.ts'
import { createEventLog } from '../../../src/embedded/event-store/event-log.ts'
import type { ProposedEvent } from '../../../src/embedded/event-store/events.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'event-log-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

function event(data = 'data'): ProposedEvent {
  return {
    id: crypto.randomUUID(),
    type: 'Something',
    isJson: false,
    data: Buffer.from(data),
    metadata: new Uint8Array(0),
  }
}

test('what was written is there after the log is closed and opened again, and positions go on', async () => {
  const events = [event('a'), event('b'), event('c')]
  const first = createEventLog(openDatabase(directory))
  await first.append('s', 'no_stream', events)
  first.close()
  const second = createEventLog(openDatabase(directory))
  expect(second.reader.allForwards(0)).toMatchObject(
    events.map((e, i) => ({ id: e.id, position: i + 1, revision: i })),
  )
  expect(await second.append('s', 'any', events)).toMatchObject({ lastRevision: 2, position: 3 })
  expect(await second.append('s', 2, [event()])).toMatchObject({ kind: 'written', position: 4 })
  second.close()
  expect(readdirSync(directory)).toEqual(['events.lock', 'events.sqlite'])
})

test('the position of an erased event is never given out again', async () => {
  const first = createEventLog(openDatabase(directory))
  await first.append('$$s', 'any', [{ ...event('{"$tb":100}'), isJson: true }])
  await first.append('s', 'any', [event(), event()])
  expect(first.tail.lastPosition).toBe(3)
  first.close()
  const second = createEventLog(openDatabase(directory))
  expect(await second.append('s', 1, [event()])).toMatchObject({ position: 4, lastRevision: 2 })
  second.close()
})

test('the bytes of superseded events are gone from every file once the append is answered', async () => {
  const log = createEventLog(openDatabase(directory))
  await log.append('$$vault', 'any', [{ ...event('{"$maxCount":1}'), isJson: true }])
  await log.append('vault', 'any', [event('the old secret'.repeat(500))])
  expect(stored()).toContain('the old secret')
  await log.append('vault', 'any', [event('the new one')])
  expect(stored()).not.toContain('the old secret')
  expect(stored()).toContain('the new one')
  expect(log.tail.after(0, 10) ?? []).toEqual([])
  await log.deleteStream('vault', 'any')
  expect(stored()).not.toContain('the new one')
  log.close()

  function stored(): string {
    return readdirSync(directory)
      .map((name) => readFileSync(join(directory, name), 'latin1'))
      .join()
  }
})

test('while a backup reads, what is erased is answered at once and is gone from every file soon after', async () => {
  const log = createEventLog(openDatabase(directory))
  await log.append('$$vault', 'any', [{ ...event('{"$maxCount":1}'), isJson: true }])
  await log.append('vault', 'any', [event('the old secret')])
  const reading = openForReading(logFile(directory))
  reading.exec('BEGIN')
  reading.prepare('SELECT count(*) FROM event').get()
  await log.append('vault', 'any', [event('the new one')])
  expect(log.reader.allForwards(0).map(({ data }) => Buffer.from(data).toString())).not.toContain(
    'the old secret',
  )
  reading.close()
  await vi.waitUntil(() => !stored().includes('the old secret'), { timeout: 20_000 })
  expect(stored()).toContain('the new one')
  log.close()

  function stored(): string {
    return readdirSync(directory)
      .map((name) => readFileSync(join(directory, name), 'latin1'))
      .join()
  }
})

test('a second opening is refused at once, with a sentence', () => {
  const log = createEventLog(openDatabase(directory))
  expect(() => openDatabase(directory)).toThrow(EventStoreOpenError)
  expect(() => openDatabase(directory)).toThrow(/in use by another event store node/)
  log.close()
  createEventLog(openDatabase(directory)).close()
})

test('on a full disk appends are refused, reads go on, and writing resumes by itself', async () => {
  const database = openDatabase(directory)
  const log = createEventLog(database)
  const before = event('before')
  await log.append('s', 'no_stream', [before])
  const { page_count: pages } = database.prepare('PRAGMA page_count').get() ?? {}
  database.exec(`PRAGMA max_page_count = ${pages}`)
  const refused = [log.append('s', 0, [event('x'.repeat(50_000))]), log.append('new', 'no_stream', [event()])]
  for (const outcome of await Promise.all(refused)) {
    expect(outcome).toEqual({
      kind: 'refused',
      reason: 'storage',
      message: 'the log cannot be written to: database or disk is full',
    })
  }
  expect(await log.append('s', 0, [event()])).toMatchObject({ kind: 'refused' })
  expect(log.reader.allForwards(0)).toMatchObject([{ id: before.id }])
  expect(log.reader.stream('new')).toBeUndefined()
  expect(log.tail.lastPosition).toBe(1)

  database.exec('PRAGMA max_page_count = 1000000')
  await vi.waitUntil(async () => (await log.append('s', 0, [event('after')])).kind === 'written', {
    timeout: 10_000,
  })
  expect(log.reader.allForwards(0)).toMatchObject([
    { position: 1 },
    { position: 2, streamName: 's', revision: 1 },
  ])
  expect(await log.append('new', 'no_stream', [event()])).toMatchObject({ lastRevision: 0, position: 3 })
  log.close()
})

test('writes that arrive together share a transaction; nothing of them is seen before it', async () => {
  const log = createEventLog(openDatabase(directory))
  const together = Array.from({ length: 100 }, (_, n) => log.append(`s-${n % 3}`, 'any', [event()]))
  expect(log.reader.allForwards(0)).toEqual([])
  expect(log.tail.lastPosition).toBe(0)
  const positions = (await Promise.all(together)).map(
    (outcome) => outcome.kind === 'written' && outcome.position,
  )
  expect(positions).toEqual(Array.from({ length: 100 }, (_, n) => n + 1))
  log.close()
})

test('a refusal depends on nothing that may still fail', async () => {
  const log = createEventLog(openDatabase(directory))
  const written = log.append('s', 'no_stream', [event()])
  const refused = log.append('s', 'no_stream', [event()])
  expect(log.reader.stream('s')).toMatchObject({ lastRevision: 0 })
  expect(await refused).toMatchObject({ kind: 'wrong-expected-version', currentRevision: 0 })
  expect(await written).toMatchObject({ kind: 'written' })
  log.close()
})

test('after writes are finished, more are refused and reads go on', async () => {
  const log = createEventLog(openDatabase(directory))
  const pending = log.append('s', 'any', [event()])
  log.finishWrites()
  expect(await pending).toMatchObject({ kind: 'written' })
  expect(await log.append('s', 'any', [event()])).toMatchObject({ kind: 'refused', reason: 'closing' })
  expect(log.reader.allForwards(0)).toHaveLength(1)
  log.close()
})

test.each([
  [4000, 100],
  [50_000, 600],
  [4000, 3000],
])('%i events of %i bytes take at most 1.3 times that and 120 bytes each', async (count, bytes) => {
  const log = createEventLog(openDatabase(directory))
  for (let n = 0; n < count; n += 100) {
    const events = Array.from({ length: 100 }, () => event('x'.repeat(bytes)))
    await log.append(`incident-${crypto.randomUUID()}`, 'no_stream', events)
  }
  log.close()
  expect(statSync(join(directory, 'events.sqlite')).size / count).toBeLessThanOrEqual(1.3 * bytes + 120)
})

test('memory does not grow with the number of streams', async () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc')
  const log = createEventLog(openDatabase(directory))
  const nameBytes = 2000
  let streams = 0
  async function write(count: number): Promise<number> {
    const writes: Promise<unknown>[] = []
    for (let n = 0; n < count; n += 1) {
      streams += 1
      writes.push(log.append(`${streams}-${'x'.repeat(nameBytes)}`, 'no_stream', [event()]))
      if (writes.length === 1000) await Promise.all(writes.splice(0))
    }
    await Promise.all(writes)
    collectGarbage()
    return process.memoryUsage().heapUsed
  }
  const full = await write(70_000)
  const later = await write(35_000)
  log.close()
  // The names of these streams alone would be three times as much.
  expect(later - full).toBeLessThan((35_000 * nameBytes) / 3)
}, 120_000)
