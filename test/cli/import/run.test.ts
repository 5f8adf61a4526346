import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { serviceNow } from '../../../src/cli/import/servicenow.ts'
import { LedgerError } from '../../../src/ledger/errors.ts'
import type { ImportedIncident } from '../../../src/ledger/ledger.ts'
import { type MemoryStore, openMemoryStore } from '../../ledger/support/memory-store.ts'
import { ledgerOn } from '../../ledger/support/requests.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { csvOf, eventsIn, extract, imported, importedText, recordsIn, wholeLog } from './importing.ts'

describe('the whole log', () => {
  it('becomes 890 incidents, all closed, with 11 reopenings; a second import writes none', async () => {
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'log.csv')
    await writeFile(file, gunzipSync(await readFile(wholeLog)))
    const store = openMemoryStore()
    const { summary, problems } = await imported(serviceNow, file, store)
    expect(summary).toMatchObject({
      rows: { inFile: 5_998, written: 4_328, present: 0, unchanged: 1_670, notTaken: 0 },
      incidents: { total: 890, written: 890, reopenings: 11, byStatus: { closed: 890 } },
      eventsAppended: 4_724,
    })
    expect(await eventsIn(store)).toHaveLength(4_724)
    expect(problems.map(({ kind, line }) => [kind, line])).toEqual([
      ['clamped', 360],
      ['clamped', 361],
      ['count-differs', 485],
      ['count-differs', 2_454],
      ['count-differs', 5_077],
    ])

    const { summary: again } = await imported(serviceNow, file, store)
    expect(again).toMatchObject({ eventsAppended: 0, rows: { written: 0, present: 4_328, unchanged: 1_670 } })
    expect(await eventsIn(store)).toHaveLength(4_724)
  })
})

describe('an import that is stopped', () => {
  it('by its user ends after what is under way, and the next run brings the rest, once', async () => {
    const store = openMemoryStore()
    const stop = new AbortController()
    const onProgress = (done: number) => done > 100 && stop.abort()
    const { summary: first } = await imported(serviceNow, extract, store, { signal: stop.signal, onProgress })
    expect(first.stopped).toBe('interrupted')
    expect(first.incidents.total).toBeLessThan(60)

    const { summary: second } = await imported(serviceNow, extract, store)
    expect(second.stopped).toBeUndefined()
    expect(second.rows.present).toBe(first.rows.written)
    expect(first.eventsAppended + second.eventsAppended).toBe(404)
    expect(await sortedEvents(store)).toEqual(await undisturbed())
  })

  it('by the event store says so, and the next run brings the rest, once', async () => {
    const store = openMemoryStore()
    store.mishaps.push(...Array<'none'>(10).fill('none'), 'refused')
    const { summary } = await imported(serviceNow, extract, store)
    expect(summary.stopped).toBeInstanceOf(LedgerError)
    expect(summary.incidents.total).toBeLessThan(60)

    expect((await imported(serviceNow, extract, store)).summary.stopped).toBeUndefined()
    expect(await sortedEvents(store)).toEqual(await undisturbed())
  })

  async function undisturbed() {
    const store = openMemoryStore()
    await imported(serviceNow, extract, store)
    return await sortedEvents(store)
  }

  async function sortedEvents(store: MemoryStore) {
    const events = await eventsIn(store)
    return events.map((event) => JSON.stringify(event)).sort()
  }
})

it('takes the rows of an incident together, wherever they stand', async () => {
  const a = { number: 'A' }
  const b = { number: 'B' }
  const store = openMemoryStore()
  const text = csvOf(a, b, { ...b, state: 'Active' }, { ...a, state: 'Active' }, { ...a, state: 'Resolved' })
  const { summary, problems } = await importedText(serviceNow, text, store)
  expect(problems).toEqual([])
  expect(summary).toMatchObject({ incidents: { total: 2 }, eventsAppended: 5, rows: { written: 5 } })
})

it('goes on with a longer export of the same incidents', async () => {
  const store = openMemoryStore()
  const rows = [{}, { state: 'Active' }, { state: 'Resolved' }]
  await importedText(serviceNow, csvOf(...rows.slice(0, 2)), store)
  const { summary } = await importedText(serviceNow, csvOf(...rows), store)
  expect(summary).toMatchObject({ eventsAppended: 1, rows: { present: 2, written: 1 } })
})

it('writes nothing of a file that is malformed further down', async () => {
  const store = openMemoryStore()
  await expect(importedText(serviceNow, `${csvOf({})}INC2,"New\n`, store)).rejects.toThrow('line 3: ')
  expect(await eventsIn(store)).toEqual([])
})

it('tells who did it by a hash that does not tell who they are', async () => {
  const store = openMemoryStore()
  await importedText(serviceNow, csvOf({}, { state: 'Active' }, { state: 'Resolved' }), store)
  const actors = (await recordsIn(store)).map(({ metadata }) => metadata.actor)
  expect(actors).toMatchObject([
    { kind: 'import', id: expect.stringMatching(/^[\w-]{43}$/), name: 'Opened by 8' },
    { kind: 'import', id: expect.stringMatching(/^[\w-]{43}$/), name: 'Updated by 21' },
    { kind: 'import', id: actors[1]?.id, name: 'Updated by 21' },
  ])
  expect(actors[0]?.id).not.toBe(actors[1]?.id)
})

it('works on several incidents at once, and never on more than 32', async () => {
  const ledger = await ledgerOn(openMemoryStore())
  let [now, most] = [0, 0]
  const importIncident = async (incident: ImportedIncident) => {
    now += 1
    most = Math.max(most, now)
    await new Promise((resolve) => setImmediate(resolve))
    now -= 1
    return ledger.importIncident(incident)
  }
  await imported(serviceNow, extract, openMemoryStore(), { ledger: { ...ledger, importIncident } })
  expect(most).toBeGreaterThan(1)
  expect(most).toBeLessThanOrEqual(32)
})
