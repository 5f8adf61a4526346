/**
 * Incidents are erased while writers write and the service is killed. What must hold afterwards: each is erased or not, never half; nothing of
 * the erased texts is in any answer, in the log or in Postgres's tables; nothing of the keys is in the event store's files.
 * ERASURES, WRITERS and KILLS make it longer than every run needs it.
 */
import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { expect, test } from 'vitest'
import { connectEventStore } from '../../src/ledger/connection.ts'
import type { StoredEvent } from '../../src/ledger/event-store.ts'
import { type ServiceProcess, startService } from '../support/service-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { waitFor } from '../support/wait-for.ts'

const erasures = Number(process.env.ERASURES ?? 60)
const writers = Number(process.env.WRITERS ?? 8)
const kills = Number(process.env.KILLS ?? 3)

interface Told {
  readonly path: string
  /** Text that was acknowledged, and when it was no longer under way when the erasure was asked for: what must be gone. */
  readonly before: string[]
  readonly notes: string[]
  erased: boolean
}

test('what is erased is gone everywhere, whatever is killed meanwhile, and nothing else is', async () => {
  await using data = await temporaryDirectory()
  await using service = await startService({ DATA_DIR: data.path })
  const told: Told[] = []
  const seenKeys = new Map<string, string>()
  const stop = new AbortController()
  const erasing = Array.from({ length: writers }, (_, n) => write(service, n, told, stop.signal))
  const watching = watchKeys(data.path, seenKeys, stop.signal)
  let killed = 0
  await waitFor(() => told.length >= writers, { describe: 'something is written' })
  while (countErased(told) < erasures || killed < kills) {
    if (killed < kills && countErased(told) >= (erasures * killed) / kills) {
      await service.kill()
      await service.start()
      killed += 1
    }
    const before = countErased(told)
    await waitFor(() => countErased(told) > before, {
      describe: `writers go on; it printed ${service.output().slice(-1_000)}`,
    })
  }
  stop.abort()
  await Promise.all([...erasing, watching])
  await waitFor(
    async () => {
      const { body } = await service.call('GET', '/health')
      return body.projector?.lag === undefined || body.projector.lag === 0
    },
    { describe: 'everything is projected' },
  )

  const erasedTexts: string[] = []
  for (const { path, before, notes, erased } of told) {
    const { body } = await service.call('GET', `${path}/history?limit=1000`)
    const events: { type: string; data: Record<string, unknown>; actor: { name: string | null } }[] =
      body.items
    const at = events.findLastIndex(({ type }) => type === 'IncidentPersonalDataErased')
    expect(at >= 0, path).toBe(erased)
    expect(
      events.filter(({ type }) => type === 'IncidentNoteAdded'),
      'each note that was answered for',
    ).toHaveLength(notes.length)
    for (const [place, { type, data: said, actor }] of events.entries()) {
      expect(actor.name === null, `${path} ${place}`).toBe(place < at)
      if (type === 'IncidentNoteAdded') expect(said.text === null, `${path} ${place}`).toBe(place < at)
      if (type === 'IncidentReported') expect(said.title === null, `${path} ${place}`).toBe(place < at)
    }
    if (!erased) continue
    const shown = [
      body,
      (await service.call('GET', path)).body,
      (await service.call('GET', `${path}?revision=0`)).body,
    ]
    for (const text of before) expect(JSON.stringify(shown)).not.toContain(text)
    erasedTexts.push(...before)
  }
  for (const text of erasedTexts.slice(0, 20)) {
    const [title] = [text]
    expect((await service.call('GET', `/incidents?q=${title}`)).body.items).toEqual([])
  }
  const output = service.output()
  expect(erasedTexts.filter((text) => output.includes(text))).toEqual([])

  const { eventStoreUrl, databaseUrl } = JSON.parse(await readFile(join(data.path, 'attach.json'), 'utf8'))
  const erasedKeys = await finished(eventStoreUrl)
  await query(databaseUrl, 'VACUUM FULL')
  await service.stop() // which ends Postgres with a checkpoint

  const known = [...erasedKeys].flatMap((keyId) => seenKeys.get(keyId) ?? [])
  expect(known.length).toBeGreaterThan(0.5 * erasedKeys.size)
  const ofNode = await contentOf(join(data.path, 'event-store'))
  expect(known.filter((wrapped) => ofNode.includes(wrapped.slice(10, 50)))).toEqual([])
  const living = [...seenKeys].find(([keyId]) => !erasedKeys.has(keyId))
  expect(ofNode.includes(living?.[1] ?? 'no key'), 'the search finds a key that is not erased').toBe(true)
  const tables = await contentOf(join(data.path, 'postgres', 'cluster', 'base'))
  expect(erasedTexts.filter((text) => tables.includes(text))).toEqual([])
  const kept = told.find(({ erased, before }) => !erased && before.length > 0)
  expect(tables.includes(kept?.before[0] ?? 'no text'), 'the search finds a text that is not erased').toBe(
    true,
  )
}, 1_200_000)

/** Reports incidents, notes on them, and erases every second one while notes are still under way. */
async function write(service: ServiceProcess, writer: number, told: Told[], stop: AbortSignal) {
  for (let n = 0; !stop.aborted; n += 1) {
    const text = secretText()
    const report = {
      source: 'monitoring',
      title: text,
      description: `${text} called`,
      assignee: text,
      labels: { who: text },
    }
    const key = `${writer}-${n}`
    const created = await insist(service, 'POST', '/incidents', key, report)
    const entry: Told = {
      path: created.headers.get('location') ?? '',
      before: [text],
      notes: [],
      erased: false,
    }
    told.push(entry)
    const note = async (m: number, isBefore: boolean) => {
      const said = secretText()
      await insist(service, 'POST', `${entry.path}/notes`, `${key}-${m}`, { text: said })
      entry.notes.push(said)
      if (isBefore) entry.before.push(said)
    }
    await note(0, true)
    if (n % 2 === 1) continue
    const erase = insist(service, 'DELETE', `${entry.path}/personal-data`, `${key}-e`, {
      reason: 'asked for',
    })
    await Promise.all([note(1, false), erase, note(2, false)])
    await note(3, false)
    entry.erased = true
  }
}

function insist(service: ServiceProcess, method: string, path: string, key: string, body: object) {
  const headers = { 'idempotency-key': `"${key}"` }
  return waitFor(
    async () => {
      const answer = await service.call(method, path, { body, headers })
      if (answer.status >= 400 && answer.status !== 503) {
        throw new Error(`${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`)
      }
      return answer.status < 400 ? answer : undefined
    },
    { describe: `${method} ${path} with the key ${key} is acknowledged` },
  )
}

/** Short, so that no table compresses it, and like no other. */
function secretText(): string {
  return `zq${randomBytes(8).toString('hex')}`
}

function countErased(told: readonly Told[]): number {
  return told.filter(({ erased }) => erased).length
}

/** Learns every wrapped key while it is there. */
async function watchKeys(dataDir: string, seen: Map<string, string>, stop: AbortSignal) {
  while (!stop.aborted) {
    const found = await eventsOf(dataDir, { prefixes: ['vault-'] }).catch(() => [])
    for (const { stream, data } of found) {
      const keys: (string | null)[] = Object(data).keys
      for (const [slot, wrapped] of keys.entries()) {
        if (wrapped) seen.set(`${stream.slice('vault-'.length)}.${slot}`, wrapped)
      }
    }
  }
}

/** The keys that erasures gave up, once none of them is in its vault any more. */
async function finished(url: string): Promise<ReadonlySet<string>> {
  const given = new Set<string>()
  for (const { data } of await eventsAt(url, { prefixes: [], types: ['IncidentPersonalDataErased'] })) {
    for (const keyId of Object(data).keyIds) given.add(keyId)
  }
  await waitFor(
    async () => {
      const vaults = await eventsAt(url, { prefixes: ['vault-'] })
      const left = vaults.flatMap(({ stream, data }) =>
        (Object(data).keys as (string | null)[]).flatMap((wrapped, slot) =>
          wrapped === null ? [] : [`${stream.slice('vault-'.length)}.${slot}`],
        ),
      )
      return !left.some((keyId) => given.has(keyId))
    },
    { describe: 'every erased key has left its vault' },
  )
  return given
}

type Wanted = { readonly prefixes: readonly string[]; readonly types?: readonly string[] }

async function eventsOf(dataDir: string, wanted: Wanted): Promise<StoredEvent[]> {
  const { eventStoreUrl } = JSON.parse(await readFile(join(dataDir, 'attach.json'), 'utf8'))
  return eventsAt(eventStoreUrl, wanted)
}

async function eventsAt(url: string, wanted: Wanted): Promise<StoredEvent[]> {
  const store = connectEventStore(url)
  const reading = new AbortController()
  try {
    const found: StoredEvent[] = []
    const all = store.follow({
      ...wanted,
      after: undefined,
      batchSize: 1_000,
      signal: reading.signal,
      onConfirmed: () => {},
    })
    for await (const { events, caughtUp } of all) {
      found.push(...events)
      if (caughtUp) break
    }
    return found
  } finally {
    reading.abort()
    await store.close()
  }
}

async function query(databaseUrl: string, text: string) {
  const client = new pg.Client(databaseUrl)
  await client.connect()
  await client.query(text)
  await client.end()
}

async function contentOf(folder: string): Promise<Buffer> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true })
  return Buffer.concat(
    await Promise.all(
      files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name))),
    ),
  )
}
