import { spawn } from 'node:child_process'
import { randomInt, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { EventStoreDBClient } from '@eventstore/db-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { copyLedger, giveUpCopy } from '../../../src/ledger/copy/copy.ts'
import { openRawStore } from '../../../src/ledger/copy/raw-store.ts'
import { openReadModel } from '../../../src/projections/open.ts'
import { rowsOf } from '../../projections/read-model-rows.ts'
import { createTestDatabase } from '../../support/database.ts'
import { type EventStoreProcess, startEventStoreProcess } from '../../support/event-store.ts'
import { freePort } from '../../support/free-port.ts'
import { waitFor } from '../../support/wait-for.ts'
import { context, faultOf, report, silent } from '../support/requests.ts'
import { appendRaw, fill, open, orderedIn, raw, type Stored, streams, vaultsIn, write } from './stored.ts'

const { signal } = new AbortController()
const copy = (from: string, to: string, more: Partial<Parameters<typeof copyLedger>[0]> = {}) =>
  copyLedger({ from, to, signal, ...more })

/** A filled store cannot be used twice, once it is retired: each test has its own. */
async function filledStore(): Promise<EventStoreProcess> {
  const store = await startEventStoreProcess()
  await fill(store.url)
  return store
}

describe('a copy', () => {
  let source: EventStoreProcess
  let target: EventStoreProcess
  let before: readonly Stored[]
  beforeEach(async () => {
    ;[source, target] = await Promise.all([filledStore(), startEventStoreProcess()])
    before = await orderedIn(source.url)
    return async () => {
      await Promise.all([source.close(), target.close()])
    }
  })

  test('has every event with its id, stream, revision and bytes, in the same order; vaults as they are now; nothing that was deleted', async () => {
    const summary = await copy(source.url, target.url)
    expect(before.length).toBeGreaterThan(400)
    expect(await orderedIn(target.url)).toEqual(before)
    const vaults = await vaultsIn(target.url)
    expect(vaults).toEqual(await vaultsIn(source.url))
    const rewritten = vaults.flat().filter(({ stream }) => stream === streams.vault)
    expect(rewritten.map(({ data }) => Buffer.from(data, 'base64').toString())).toEqual([
      '{"keys":["living"]}',
    ])
    const { length: events } = before
    expect(summary).toEqual({ outcome: 'moved', events, copied: events, vaults: vaults.length, leftOut: 0 })
    const copied = JSON.stringify(await orderedIn(target.url))
    expect(copied).toContain(streams.odd)
    expect(copied).not.toContain(streams.deleted)
    // The stream goes on keeping one.
    await appendRaw(target.url, streams.vault, 0, raw('{"keys":["newer"]}'))
    expect((await vaultsIn(target.url)).flat()).toHaveLength(vaults.length)
  })

  test('opens its sealed text as the source does, save what was erased, which it has no key to', async () => {
    const ledger = await open(source.url)
    const reported = async () =>
      (await ledger.incidents.report(report({ title: 'Ann fell' }), context())).incident.id
    const [kept, erased] = [await reported(), await reported()]
    const erasure = { type: 'ErasePersonalData', body: { reason: 'Ann asked' } } as const
    await ledger.incidents.change(erased, erasure, context())
    const histories = await Promise.all([kept, erased].map((id) => ledger.history.events(id)))
    await ledger.close()
    await copy(source.url, target.url)
    const there = await open(target.url)
    const copied = await Promise.all([kept, erased].map((id) => there.history.events(id)))
    await there.close()
    const said = (all: typeof copied) => all.map((events) => events.map(({ position: _, ...rest }) => rest))
    expect(said(copied)).toEqual(said(histories))
    expect(copied.map(([first]) => Object(first?.event.data).title)).toEqual(['Ann fell', null])
  })

  test('goes on where it was interrupted, again and again', async () => {
    for (let interrupted = 0; interrupted < 5; interrupted += 1) {
      const stop = new AbortController()
      const at = randomInt(before.length)
      const copying = copy(source.url, target.url, {
        signal: stop.signal,
        onProgress: (passed) => {
          if (passed >= at) stop.abort()
        },
      })
      await expect(copying, `interrupted at ${at}`).rejects.toThrow('aborted')
      expect(before.slice(0, (await orderedIn(target.url)).length)).toEqual(await orderedIn(target.url))
    }
    await copy(source.url, target.url)
    expect(await orderedIn(target.url)).toEqual(before)
  })

  test('goes on where it was killed, and where the target was', async () => {
    for (let killed = 0; killed < 4; killed += 1) {
      const at = randomInt(before.length)
      await killedAt(at, source, target)
      if (killed % 2 === 1) {
        await target.kill()
        await target.restart()
      }
      expect(before.slice(0, (await orderedIn(target.url)).length), `killed at ${at}`).toEqual(
        await orderedIn(target.url),
      )
    }
    await copy(source.url, target.url)
    expect(await orderedIn(target.url)).toEqual(before)
  })

  test('of a ledger that is written to has all that any writer was told is in it', async () => {
    const ledgers = await Promise.all([open(source.url), open(source.url)])
    const told: string[] = []
    const faults = new Set<unknown>()
    const writers = ledgers.map(async (ledger) => {
      for (;;) {
        try {
          const { records } = await ledger.incidents.report(report(), context())
          told.push(...records.map(({ id }) => id))
        } catch (error) {
          const code = Object(Object(error).fault).code
          faults.add(code)
          if (code === 'ledger-retired') return
        }
      }
    })
    await waitFor(() => told.length > 20, { describe: 'something is written' })
    await copy(source.url, target.url)
    await Promise.all(writers)
    await Promise.all(ledgers.map((ledger) => ledger.close()))
    const copied = await orderedIn(target.url)
    expect(new Set(copied.map(({ id }) => id)).isSupersetOf(new Set(told))).toBe(true)
    expect((await orderedIn(source.url)).slice(0, copied.length)).toEqual(copied)
    expect([...faults].every((code) => code === 'ledger-retired' || code === 'outcome-unknown')).toBe(true)
  })

  test('and one back, into the store that was retired, are the same ledger', async () => {
    await copy(source.url, target.url)
    const there = await open(target.url)
    await write(there, 10)
    await there.close()
    await appendRaw(target.url, streams.vault, 0, raw('{"keys":["of the target"]}'))
    const all = await orderedIn(target.url)
    expect(all.length).toBeGreaterThan(before.length)

    expect((await copy(target.url, source.url)).copied).toBe(all.length - before.length)
    expect(await orderedIn(source.url)).toEqual(all)
    expect(await vaultsIn(source.url)).toEqual(await vaultsIn(target.url))
    const back = await open(source.url)
    expect((await back.incidents.report(report(), context())).outcome).toBe('created')
    await back.close()
  })

  test('leaves a source that takes no commands any more, and says where the ledger is', async () => {
    const running = await open(source.url)
    await copy(source.url, target.url)
    const started = await open(source.url)
    const retired = { code: 'ledger-retired', to: target.url.replace(/\?.*/, '') }
    for (const ledger of [running, started]) {
      expect(await faultOf(ledger.incidents.report(report(), context()))).toEqual(retired)
      const key = { name: 'a key', scopes: ['read' as const], expiresAt: null, requiresSignature: false }
      expect(await faultOf(ledger.accessKeys.issue(key, context()))).toEqual(retired)
      await ledger.close()
    }
    expect(await orderedIn(source.url)).toEqual(before)
    expect(await copy(source.url, target.url)).toMatchObject({ outcome: 'already' })
  })

  test('that is not complete starts no service, and is given up so that the source goes on', async () => {
    const stop = new AbortController()
    const options = { signal: stop.signal, onStage: (stage: string) => stage === 'closing' && stop.abort() }
    await expect(copy(source.url, target.url, options)).rejects.toThrow('aborted')
    await expect(open(target.url)).rejects.toThrow(
      /a copy of the ledger at esdb:.* that is not complete: run/,
    )
    const closed = await open(source.url)
    expect(await faultOf(closed.incidents.report(report(), context()))).toMatchObject({
      code: 'ledger-retired',
    })

    expect(await giveUpCopy({ from: source.url, to: target.url })).toBe(true)
    expect(await giveUpCopy({ from: source.url, to: target.url })).toBe(false)
    expect((await closed.incidents.report(report(), context())).outcome).toBe('created')
    await closed.close()
    await expect(open(target.url)).rejects.toThrow('was given up')
    await copy(source.url, target.url)
    expect(await orderedIn(target.url)).toEqual(await orderedIn(source.url))
    await expect(giveUpCopy({ from: source.url, to: target.url })).rejects.toThrow('was moved to')
  })

  test('that is complete, but was killed before the source heard of it, is not made again', async () => {
    await copy(source.url, target.url)
    const genesis = openRawStore(source.url)
    const events = await genesis.readStream('ledger-genesis')
    await genesis.close()
    await using withoutTheEnd = await startEventStoreProcess()
    await appendRaw(withoutTheEnd.url, 'ledger-genesis', -1, ...events.slice(0, -1))
    const stopped = await open(withoutTheEnd.url)
    expect(await faultOf(stopped.incidents.report(report(), context()))).toMatchObject({
      code: 'ledger-retired',
    })
    await stopped.close()
    expect(await copy(withoutTheEnd.url, target.url)).toMatchObject({ outcome: 'already' })
    await expect(giveUpCopy({ from: withoutTheEnd.url, to: target.url })).rejects.toThrow('was moved to')
    expect(await orderedIn(target.url)).toEqual(before)
  })

  test('is gone on with by the read model where it was, without a rebuild', async () => {
    await using database = await createTestDatabase()
    const project = async (url: string, upTo: number) => {
      const ledger = await open(url)
      const readModel = await openReadModel({ databaseUrl: database.url, ledger, log: silent })
      const stop = new AbortController()
      const projecting = readModel.project(stop.signal)
      await waitFor(() => (readModel.announcements.current()?.index ?? -1) >= upTo, {
        describe: `event ${upTo} is projected`,
      })
      return {
        ledger,
        announced: () => readModel.announcements.current(),
        reached: readModel.announcements.reached,
        rows: () => rowsOf(database.url),
        async end() {
          stop.abort()
          await projecting
          const { projector } = await readModel.health()
          await readModel.close()
          await ledger.close()
          return projector
        },
      }
    }
    const last = before.filter(({ stream }) => /^(incident|accessKey)-/.test(stream)).length - 1
    const first = await project(source.url, last)
    const rows = await first.rows()
    const { generation, position } = first.announced() ?? {}
    await first.end()

    await copy(source.url, target.url)
    const second = await project(target.url, last)
    await waitFor(() => second.announced()?.position.commit !== position?.commit, {
      describe: 'the place in the target is announced',
    })
    expect(second.announced()).toMatchObject({ generation, index: last })
    const { incident, position: written } = await second.ledger.incidents.report(report(), context())
    await waitFor(() => second.reached(written, 1_000), { describe: 'the new event is projected' })
    expect(second.announced()).toMatchObject({ generation, index: last + 1 })
    const after = await second.rows()
    expect(after.incident).toHaveLength((rows.incident?.length ?? 0) + 1)
    expect(after.incident_event?.filter((row) => !row.includes(incident.id))).toEqual(rows.incident_event)
    expect(await second.end()).toMatchObject({ state: 'elsewhere' })
  })
})

describe('no copy is made', () => {
  let filled: EventStoreProcess
  let empty: EventStoreProcess
  beforeAll(async () => {
    ;[filled, empty] = await Promise.all([startEventStoreProcess(), startEventStoreProcess()])
    await (await open(filled.url)).close()
  })
  afterAll(async () => {
    await Promise.all([filled.close(), empty.close()])
  })

  test('to the same event store, under the same name or another', async () => {
    await expect(copy(filled.url, filled.url)).rejects.toThrow('are the same event store')
    const sameStore = `${filled.url}&keepAliveInterval=20000`
    await expect(copy(filled.url, sameStore)).rejects.toThrow('is the event store that the ledger at')
  })

  test('where one cannot be reached, which is named without its password', async () => {
    const away = `esdb://admin:secret@127.0.0.1:${await freePort()}?tls=false`
    for (const [from, to] of [
      [filled.url, away],
      [away, empty.url],
    ] as const) {
      const fault = await faultOf(copy(from, to))
      expect(fault).toMatchObject({ code: 'event-store-unavailable' })
      expect(JSON.stringify(fault)).toContain('esdb://127.0.0.1:')
      expect(JSON.stringify(fault)).not.toContain('secret')
    }
    await expect(copy('http://nowhere', empty.url)).rejects.toThrow('--from is no connection string')
  })

  test('from a store without a ledger, nor from a copy that is not complete', async () => {
    await expect(copy(empty.url, filled.url)).rejects.toThrow('there is no ledger at')
    await using half = await startEventStoreProcess()
    await using third = await startEventStoreProcess()
    const stop = new AbortController()
    const options = { signal: stop.signal, onStage: () => stop.abort() }
    await expect(copy(filled.url, half.url, options)).rejects.toThrow('aborted')
    await expect(copy(half.url, third.url)).rejects.toThrow('a copy that is not complete')
  })

  test('to a store with another ledger, or with other events', async () => {
    await using other = await startEventStoreProcess()
    await (await open(other.url)).close()
    await expect(copy(filled.url, other.url)).rejects.toThrow('holds another ledger')
    await using foreign = await startEventStoreProcess()
    const client = EventStoreDBClient.connectionString(foreign.url)
    await appendRaw(foreign.url, 'orders-1', -1, raw('{}'))
    await client.dispose()
    await expect(copy(filled.url, foreign.url)).rejects.toThrow('holds other events (stream orders-1)')
  })

  test('to a copy into which something else was written', async () => {
    await using half = await startEventStoreProcess()
    const stop = new AbortController()
    await expect(
      copy(filled.url, half.url, {
        signal: stop.signal,
        onStage: (stage) => stage === 'closing' && stop.abort(),
      }),
    ).rejects.toThrow('aborted')
    await giveUpCopy({ from: filled.url, to: half.url })
    await appendRaw(half.url, `incident-${randomUUID()}`, -1, raw('{}'))
    await expect(copy(filled.url, half.url)).rejects.toThrow('the target is no copy of the source')
    await giveUpCopy({ from: filled.url, to: half.url })
  })
})

/** A copy in a process of its own, killed when it has passed so many events. */
async function killedAt(passed: number, source: EventStoreProcess, target: EventStoreProcess): Promise<void> {
  const program = fileURLToPath(new URL('copy-process.ts', import.meta.url))
  const child = spawn(process.execPath, [program, source.url, target.url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  for await (const line of createInterface(child.stdout)) {
    if (Number(line) >= passed) break
  }
  child.kill('SIGKILL')
  await ended
}
