import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { LedgerRecord } from '../../src/ledger/event.ts'
import type { Ledger } from '../../src/ledger/ledger.ts'
import { openLedger } from '../../src/ledger/open.ts'
import {
  type EventStoreProcess,
  startEventStoreProcess,
  startTestEventStore,
  type TestEventStore,
} from '../support/event-store.ts'
import { waitFor } from '../support/wait-for.ts'
import { context, faultOf, keyed, report, secret, silent } from './support/requests.ts'

const note = (text: string) => ({ type: 'AddNote', noteId: randomUUID(), text }) as const
const open = (eventStoreUrl: string, appendDeadlineMs = 30_000) =>
  openLedger({ eventStoreUrl, secret, log: silent, appendDeadlineMs })
const times = <T>(n: number, make: (i: number) => Promise<T>) =>
  Promise.all(Array.from({ length: n }, (_, i) => make(i)))

describe('a ledger in an event store', () => {
  let store: TestEventStore
  let ledger: Ledger
  beforeAll(async () => {
    store = await startTestEventStore()
    ledger = await open(store.url)
  })
  afterAll(async () => {
    await ledger?.close()
    await store?.close()
  })

  test('reports once, however often at once it is asked', async () => {
    const request = keyed(randomUUID())
    const answers = await times(100, () => ledger.incidents.report(report(), request))
    for (const answer of answers) expect(answer).toEqual(answers[0])
    expect(new Set(answers.map(({ incident }) => JSON.stringify(incident))).size).toBe(1)
    expect(await ledger.history.events(firstOf(answers).incident.id)).toHaveLength(1)
  })

  test('loses no update of 50 writers at once', async () => {
    const { incident } = await ledger.incidents.report(report(), context())
    const answers = await times(50, (i) => ledger.incidents.change(incident.id, note(`note ${i}`), context()))
    const events = await ledger.history.events(incident.id)
    expect(events.map(({ revision }) => revision)).toEqual(Array.from({ length: 51 }, (_, i) => i))
    expect(new Set(answers.map((answer) => answer.incident.revision)).size).toBe(50)
    const texts = events.flatMap(({ event }) => (event.type === 'IncidentNoteAdded' ? [event.data.text] : []))
    expect(new Set(texts).size).toBe(50)
  })

  test('gathers 200 reporters of one external key in one incident', async () => {
    const externalKey = randomUUID()
    const answers = await times(200, () => ledger.incidents.report(report({ externalKey }), context()))
    expect(new Set(answers.map(({ incident }) => incident.id)).size).toBe(1)
    expect(answers.filter(({ outcome }) => outcome === 'created')).toHaveLength(1)
  })

  test('gathers them as well where each has a key and asks twice', async () => {
    const externalKey = randomUUID()
    const answers = await times(100, (i) =>
      ledger.incidents.report(report({ externalKey }), keyed(`${externalKey} ${i % 50}`)),
    )
    expect(new Set(answers.map(({ incident }) => incident.id)).size).toBe(1)
    for (let i = 0; i < 50; i += 1) expect(answers[i]).toEqual(answers[i + 50])
  })

  test('takes a change pinned to a revision once', async () => {
    const { incident } = await ledger.incidents.report(report(), context())
    const asked = context({ expectedRevision: 0 })
    const faults = await times(10, (i) => faultOf(ledger.incidents.change(incident.id, note(`${i}`), asked)))
    const mismatch = { code: 'revision-mismatch', expected: 0, actual: 1 }
    expect(faults.filter((fault) => isDeepStrictEqual(fault, mismatch))).toHaveLength(9)
  })

  test('reads back the event at a position, and none beside it', async () => {
    const { position, records } = await ledger.incidents.report(report(), context())
    expect(await ledger.readAt(position)).toEqual({ ...records[0], position })
    const beside = { commit: position.commit + 1n, prepare: position.prepare + 1n }
    expect(await ledger.readAt(beside)).toBeUndefined()
  })

  test('tells the events from after a position, and that it has told all', async () => {
    const first = await ledger.incidents.report(report(), context())
    const ids = [first.incident.id]
    for (let i = 0; i < 25; i += 1) ids.push((await ledger.incidents.report(report(), context())).incident.id)
    const told = await untilCaughtUp(ledger, 10, first.position)
    expect(told.map(({ stream }) => stream)).toEqual(ids.slice(1).map((id) => `incident-${id}`))
    const last = told.at(-1)
    expect(await untilCaughtUp(ledger, 10, last?.position)).toEqual([])
  })

  test('is well', async () => {
    expect(await ledger.health(5_000)).toEqual({ ok: true })
  })
})

describe('a ledger whose event store fails', () => {
  let store: EventStoreProcess
  let ledger: Ledger
  beforeEach(async () => {
    store = await startEventStoreProcess()
    ledger = await open(store.url)
  })
  afterEach(async () => {
    await ledger?.close()
    await store?.close()
  })

  test('keeps every answered event, once, while the store is killed under its writers', async () => {
    const keys = Array.from({ length: 600 }, () => randomUUID())
    const answered = new Map<string, string>()
    let next = 0
    // More would be a backlog in the client, which is the next test's.
    const writers = times(12, async () => {
      for (let key = keys[next++]; key !== undefined; key = keys[next++]) {
        answered.set(key, (await reportUntilAnswered(ledger, key)).incident.id)
      }
    })
    await waitFor(() => answered.size > 100, { describe: 'some are written' })
    await store.kill()
    await store.restart()
    await writers
    const told = await untilCaughtUp(ledger, 100)
    expect(told.map(({ stream }) => stream).toSorted()).toEqual(
      [...answered.values()].map((id) => `incident-${id}`).toSorted(),
    )
  })

  test('does not end with the connection, however much is still to be written', async () => {
    const program = fileURLToPath(new URL('support/writers-process.ts', import.meta.url))
    const writers = spawn(process.execPath, [program, store.url], { stdio: ['pipe', 'pipe', 'inherit'] })
    const exit = once(writers, 'exit')
    let written = 0
    createInterface(writers.stdout).on('line', () => {
      written += 1
    })
    for (let round = 0; round < 3; round += 1) {
      const before = written
      await waitFor(() => writers.exitCode !== null || written > before + 200, { describe: 'they write' })
      await store.kill()
      await store.restart()
    }
    writers.stdin.end()
    expect(await exit).toEqual([0, null])
  })

  test('says that the outcome is unknown while the store is silent, and knows it afterwards', async () => {
    await ledger.close()
    ledger = await open(store.url, 1_000)
    const request = keyed('a')
    const { incident } = await ledger.incidents.report(report(), context())
    process.kill(store.pid, 'SIGSTOP')
    try {
      expect(await faultOf(ledger.incidents.report(report(), request))).toEqual({ code: 'outcome-unknown' })
      expect(await faultOf(ledger.history.events(incident.id))).toMatchObject({
        code: 'event-store-unavailable',
      })
      expect(await ledger.health(100)).toMatchObject({ ok: false })
    } finally {
      process.kill(store.pid, 'SIGCONT')
    }
    const answer = await reportUntilAnswered(ledger, 'a')
    expect(await ledger.history.events(answer.incident.id)).toHaveLength(1)
  })

  test('says that nothing was appended where the store is gone, and goes on when it is back', async () => {
    await ledger.incidents.report(report(), context())
    await store.kill()
    await waitFor(async () => !(await ledger.health(1_000)).ok, { describe: 'the loss is noticed' })
    expect(await faultOf(ledger.incidents.report(report(), context()))).toMatchObject({
      code: 'event-store-unavailable',
    })
    await store.restart()
    await waitFor(async () => (await ledger.health(1_000)).ok, { describe: 'the store is back' })
    expect(await ledger.incidents.report(report(), context())).toMatchObject({ outcome: 'created' })
  })

  test('goes on telling events after the store was killed, without a gap or a double', async () => {
    const abort = new AbortController()
    const told: string[] = []
    const connected: boolean[] = []
    const listening = (async () => {
      const options = {
        batchSize: 7,
        signal: abort.signal,
        onConnection: (is: boolean) => void connected.push(is),
      }
      for await (const { records } of ledger.subscribe(options))
        told.push(...records.map(({ stream }) => stream))
    })()
    const made: string[] = []
    for (let round = 0; round < 3; round += 1) {
      for (let i = 0; i < 20; i += 1)
        made.push((await reportUntilAnswered(ledger, `${round} ${i}`)).incident.id)
      await store.kill()
      await store.restart()
    }
    made.push((await reportUntilAnswered(ledger, 'last')).incident.id)
    await waitFor(() => told.length >= made.length, { describe: 'all is told' })
    abort.abort()
    await listening
    expect(told).toEqual(made.map((id) => `incident-${id}`))
    expect(connected).toContain(false)
    expect(connected.at(-1)).toBe(true)
  })
})

function reportUntilAnswered(ledger: Ledger, key: string) {
  return waitFor(() => ledger.incidents.report(report(), keyed(key)), { describe: `${key} is reported` })
}

async function untilCaughtUp(ledger: Ledger, batchSize: number, after?: LedgerRecord['position']) {
  const told: LedgerRecord[] = []
  const abort = new AbortController()
  for await (const { records, caughtUp } of ledger.subscribe({ after, batchSize, signal: abort.signal })) {
    expect(records.length).toBeLessThanOrEqual(batchSize)
    told.push(...records)
    if (caughtUp) break
  }
  return told
}

function firstOf<T>([first]: readonly T[]): T {
  if (first === undefined) throw new Error('there is none')
  return first
}
