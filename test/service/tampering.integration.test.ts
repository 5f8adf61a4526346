/**
 * Someone with write access to the event store alters history in its file, as carefully as can be: with the checksums made again. Whatever
 * they do, the notary stops at its next start, and `verify` tells, and both say which event it is.
 */
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkpointText } from '../../src/audit/checkpoint.ts'
import type { Finding } from '../../src/audit/finding.ts'
import { noteSigner, signNote } from '../../src/audit/signed-note.ts'
import { checksum } from '../../src/embedded/event-store/checksum.ts'
import { logFile, openDatabase } from '../../src/embedded/event-store/database.ts'
import { openLogFile } from '../../src/embedded/event-store/log-file.ts'
import { storedEntry } from '../../src/ledger/stored-log.ts'
import { isLedgerStream } from '../../src/ledger/streams.ts'
import { runVerify } from '../cli/verify/run-verify.ts'
import { accessKey, type ServiceProcess, startService } from '../support/service-process.ts'
import { checkpointOver, fetched, type newestCheckpoint, rootOf } from '../support/signed-ledger.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { waitFor } from '../support/wait-for.ts'

const incidents = 4
const eventsEach = 3
const size = incidents * eventsEach

interface Row {
  position: number
  stream: number
  name: string
  revision: number
  created: number
  type: number
  is_json: number
  id: Uint8Array
  metadata: Uint8Array
  data: Uint8Array
}

let data: TemporaryDirectory
let service: ServiceProcess
let signed: Awaited<ReturnType<typeof newestCheckpoint>>
const folder = () => join(data.path, 'event-store')
const untouched = () => join(data.path, 'event-store-as-it-was')
const file = (name: string) => join(data.path, name)
const tilesOfTheService = () => ['--url', service.url, '--access-key-file', file('access-key')]
/** Kept by an auditor from before anything was altered: the key, the newest note, the bundle of each incident. */
let key: string
const knownNote = () => ['--known', file('note')]
const knownBundle = (index: number) => [
  '--known',
  file(`bundle-${Math.min(Math.floor(index / eventsEach), incidents - 1)}`),
]

beforeAll(async () => {
  data = await temporaryDirectory()
  service = await startService({ DATA_DIR: data.path, LEDGER_COMPARE_EVERY: '1s' })
  const paths: string[] = []
  for (let n = 0; n < incidents; n += 1) {
    const body = { source: 'monitoring', description: `Disk ${n} is full` }
    const path = (await service.call('POST', '/incidents', { body })).headers.get('location') ?? ''
    paths.push(path)
    await service.call('PATCH', `${path}/status`, { body: { status: 'in_progress' } })
    await checkpointOver(service, n * eventsEach + 2)
    await service.call('PATCH', `${path}/status`, { body: { status: 'resolved' } })
  }
  signed = await checkpointOver(service, size)
  key = (await (await fetched(service, '/ledger/key')).text()).trim()
  await writeFile(file('note'), signed.note)
  await writeFile(file('access-key'), accessKey)
  for (const [n, path] of paths.entries()) {
    await writeFile(file(`bundle-${n}`), await (await fetched(service, `${path}/proof`)).text())
  }
  await service.stop()
  await cp(folder(), untouched(), { recursive: true })
}, 120_000)

afterAll(async () => {
  await service[Symbol.asyncDispose]()
  await data.remove()
})

type Alter = (database: DatabaseSync, events: Row[]) => void

interface Alteration {
  readonly what: string
  readonly alter: Alter
  /** Of the first event that is not as it was. */
  readonly index: number
  readonly notarySays: RegExp
  /** Where an end is gone, the notes that are left may be those of what is left. */
  readonly isCut?: boolean
  readonly areNotesCut?: boolean
}

const alterations: readonly Alteration[] = [
  {
    what: 'a bit flipped in an event',
    index: 4,
    notarySays: /index 4: .* other content/,
    alter: (database, events) => {
      const event = events[4] ?? expect.fail('there is no event 4')
      const text = Buffer.from(event.data).toString().replace('in_progress', 'on_progress')
      write(database, { ...event, data: Buffer.from(text) })
    },
  },
  {
    what: 'two events swapped',
    index: 2,
    notarySays: /index 2: /,
    alter: (database, events) => {
      const [one, other] = [events[2], events[3]]
      if (!one || !other) throw new Error('there are too few events')
      database.prepare('DELETE FROM event WHERE position IN (?, ?)').run(one.position, other.position)
      write(database, { ...one, position: other.position })
      write(database, { ...other, position: one.position })
    },
  },
  {
    what: 'one removed',
    index: 5,
    notarySays: /index 5: /,
    alter: (database, events) => {
      database.prepare('DELETE FROM event WHERE position = ?').run(events[5]?.position ?? -1)
    },
  },
  {
    what: 'one inserted',
    index: 6,
    notarySays: /index 6: .* revision 3 /,
    alter: (database, events) => {
      const event = events[5] ?? expect.fail('there is no event 5')
      for (const { position } of allPositions(database).filter(({ position }) => position > event.position)) {
        database.prepare('UPDATE event SET position = ? WHERE position = ?').run(position + 1, position)
      }
      database.exec('UPDATE log SET last_position = last_position + 1')
      write(database, { ...event, position: event.position + 1, revision: 3, id: Buffer.alloc(16, 7) })
    },
  },
  {
    what: 'the tail cut',
    index: 10,
    notarySays: /index 10: .* ends before it/,
    isCut: true,
    alter: (database, events) => {
      for (const { position } of events.slice(-2)) {
        database.prepare('DELETE FROM event WHERE position = ?').run(position)
      }
    },
  },
  {
    what: 'the tail cut with the notes over it',
    index: 10,
    notarySays: /index 10: .* ends before it/,
    isCut: true,
    areNotesCut: true,
    alter: (database, events) => {
      const from = events.at(-2)?.position ?? 0
      database.prepare('DELETE FROM event WHERE position >= ?').run(from)
    },
  },
]

async function alterStore(alter: Alter): Promise<void> {
  await rm(folder(), { recursive: true })
  await cp(untouched(), folder(), { recursive: true })
  const database = openDatabase(folder())
  try {
    alter(database, ledgerEvents(database))
  } finally {
    database.close()
  }
}

/** What the notary says when it starts over the altered store, and what `verify` says then of the store beside the tiles. */
async function atNextStart(): Promise<{ readonly notary: string; readonly findings: readonly Finding[] }> {
  // It may never be ready: the read model, too, stops where its last event is not in its place.
  const starting = service.start().catch(() => {})
  try {
    const notary = await waitFor(
      async () => {
        const found = (await service.call('GET', '/health')).body?.dependencies?.notary
        return found?.role === 'stopped' || found?.isCompared ? found : undefined
      },
      { describe: 'the notary has come to an end with the ledger' },
    )
    const findings = await verify(...tilesOfTheService())
    return { notary: notary.reason ?? 'nothing is altered', findings }
  } finally {
    await service.stop()
    await starting
  }
}

/** What `verify` finds in the store, as an auditor who has learnt the key from elsewhere runs it. */
async function verify(...more: readonly string[]): Promise<readonly Finding[]> {
  const { code, out, err } = await runVerify(['--json', 'verify', '--store', folder(), '--key', key, ...more])
  expect(err).toBe('')
  const { type, verified, findings } = JSON.parse(out)
  expect({ type, verified, code }).toEqual({
    type: 'store',
    verified: findings.length === 0,
    code: findings.length === 0 ? 0 : 4,
  })
  return findings
}

describe('while the service runs', { timeout: 60_000 }, () => {
  const notary = async () => (await service.call('GET', '/health')).body.dependencies.notary
  beforeAll(async () => {
    await alterStore(() => {})
    await service.start()
  }, 60_000)
  afterAll(() => service.stop())

  test('a ledger that nobody altered passes, with the notary and with all that verify can be given', async () => {
    await waitFor(async () => (await notary()).isCompared, { describe: 'all was compared' })
    expect(await notary()).toMatchObject({ role: 'leading', comparedEvents: size })
    expect(
      await verify(...knownNote(), ...knownBundle(0), ...knownBundle(11), ...tilesOfTheService()),
    ).toEqual([])
  })

  test('an event that is altered in its event store is noticed', async () => {
    // Beside the node, which holds a lock against other nodes only.
    using database = new DatabaseSync(logFile(folder()), { timeout: 5_000 })
    alterations[0]?.alter(database, ledgerEvents(database))
    await waitFor(async () => (await notary()).role === 'stopped', { describe: 'the notary stops' })
    expect((await notary()).reason).toMatch(/index 4: .* other content/)
  })
})

describe.each(alterations)('$what', { timeout: 60_000 }, (alteration) => {
  const { alter, index, notarySays, isCut = false, areNotesCut = false } = alteration
  const where = new RegExp(`event ${index} \\(incident-[0-9a-f-]{36}, revision \\d\\)`)

  test('is noticed by the notary, and by verify beside its tiles, which both name the event', async () => {
    await alterStore(alter)
    const { notary, findings } = await atNextStart()
    expect(notary).toMatch(notarySays)
    expect(findings).toContainEqual(
      expect.objectContaining({
        code: isCut ? 'shortened' : 'entry',
        index,
        message: expect.stringMatching(where),
      }),
    )
  })

  test('is noticed by verify of the file alone, which says between which two notes it is', async () => {
    await alterStore(alter)
    const findings = await verify(...(areNotesCut ? knownNote() : []))
    const message = findings.map((finding) => finding.message).join()
    if (isCut) return expect(message).toMatch(/promises \d+ events.*, but the log has 10/)
    const [, first, last] = /first event that differs is one of (\d+) to (\d+)/.exec(message) ?? []
    expect([Number(first) <= index, Number(last) >= index], message).toEqual([true, true])
  })

  test('is noticed by verify though all notes were signed anew: by a note from before, and by name with a bundle', async () => {
    await alterStore((database, events) => {
      alter(database, events)
      for (const { position } of notes(database).slice(1)) {
        database.prepare('DELETE FROM event WHERE position = ?').run(position)
      }
    })
    const entries = entriesIn(folder())
    const anew = await signedByTheKey(entries.length, rootOf(entries))
    withDatabase((database) => putNote(database, notes(database)[0], anew))
    expect(await verify()).toEqual([]) // who holds the key can: docs/audit.md says so
    expect((await verify(...knownNote()))[0]?.code).toMatch(/fork|shortened/)
    expect(await verify(...knownBundle(index))).toContainEqual(
      expect.objectContaining({ index, message: expect.stringMatching(where) }),
    )
  })
})

test('a note signed over another tree, with the very key, is noticed by both, which name the note', {
  timeout: 60_000,
}, async () => {
  const forged = await signedByTheKey(signed.size, Buffer.alloc(32, 1))
  await alterStore((database) => putNote(database, notes(database).at(-1), forged))
  const revision = withDatabase((database) => notes(database).at(-1)?.revision)
  const name = `the note with 12 events (revision ${revision} of ledger-checkpoints)`
  const fork = expect.objectContaining({ code: 'fork', message: expect.stringContaining(name) })
  expect(await verify()).toEqual([fork])
  expect(await verify(...knownNote())).toEqual([fork])
  const { notary, findings } = await atNextStart()
  expect(notary).toMatch(/another tree of 12 events/)
  expect(findings).toEqual([fork])
})

test('a service whose tiles, notes and newest note were made anew over an altered store is told by what was kept', {
  timeout: 60_000,
}, async () => {
  await alterStore((database, events) => {
    alterations[0]?.alter(database, events)
    database.exec(`DELETE FROM event WHERE position IN (${notes(database).map(({ position }) => position)})`)
  })
  const starting = service.start().catch(() => {})
  try {
    await emptyNotary()
  } finally {
    await service.stop()
    await starting
  }
  for (const name of await readdir(data.path)) if (name.startsWith('newest-note-')) await rm(file(name))
  await service.start()
  await checkpointOver(service, size)
  const asked = [...tilesOfTheService(), '--key', key]
  const verifyServed = async (...more: readonly string[]) =>
    JSON.parse((await runVerify(['--json', 'verify', ...asked, ...more])).out).findings
  expect(await verifyServed()).toEqual([])
  expect(await verifyServed(...knownNote())).toContainEqual(expect.objectContaining({ code: 'fork' }))
  expect(await verifyServed(...knownBundle(4))).toContainEqual(
    expect.objectContaining({ code: 'entry', index: 4, revision: 1 }),
  )
})

/** As the operator would who has the database in hand. */
async function emptyNotary(): Promise<void> {
  const { databaseUrl } = await waitFor(async () => JSON.parse(await readFile(file('attach.json'), 'utf8')), {
    describe: 'Postgres is there',
  })
  const client = new pg.Client(databaseUrl)
  await client.connect()
  await client.query(`
    TRUNCATE ledger.tile, ledger.entry_bundle, ledger.newest_note;
    UPDATE ledger.notary SET index = -1, commit = -1, prepare = -1, event_id = NULL, notes_met = 0`)
  await client.end()
}

async function signedByTheKey(of: number, root: Buffer): Promise<string> {
  const seed = Buffer.from((await readFile(file('signing-key'), 'utf8')).trim(), 'base64url')
  return signNote(checkpointText({ ...signed, size: of, root }), [noteSigner(signed.origin, seed)])
}

function putNote(database: DatabaseSync, row: Row | undefined, note: string): void {
  if (row === undefined) throw new Error('there is no note')
  const held = JSON.parse(Buffer.from(row.data).toString())
  write(database, { ...row, data: Buffer.from(JSON.stringify({ ...held, note })) })
}

function withDatabase<T>(act: (database: DatabaseSync) => T): T {
  const database = openDatabase(folder())
  try {
    return act(database)
  } finally {
    database.close()
  }
}

function entriesIn(place: string): Buffer[] {
  using log = openLogFile(place)
  return [...log.events(isLedgerStream)]
    .flat()
    .map((event) => storedEntry({ ...event, stream: event.streamName }))
}

function ledgerEvents(database: DatabaseSync): Row[] {
  return rows(database, "stream.name LIKE 'incident-%' OR stream.name LIKE 'accessKey-%'")
}

function notes(database: DatabaseSync): Row[] {
  return rows(database, "stream.name = 'ledger-checkpoints'")
}

function rows(database: DatabaseSync, condition: string): Row[] {
  const found = database
    .prepare(
      `SELECT event.*, stream.name FROM event JOIN stream ON stream.id = event.stream WHERE ${condition} ORDER BY position`,
    )
    .all()
  return found as unknown as Row[] // the columns of the table
}

function allPositions(database: DatabaseSync): { position: number }[] {
  const found = database.prepare('SELECT position FROM event ORDER BY position DESC').all()
  return found as unknown as { position: number }[] // the column of the table
}

/** In the place of what is there, with the checksum that belongs to it. */
function write(database: DatabaseSync, { name: _, ...row }: Row): void {
  database
    .prepare(
      `INSERT OR REPLACE INTO event (position, stream, revision, created, type, is_json, id, checksum, metadata, data)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      row.position,
      row.stream,
      row.revision,
      row.created,
      row.type,
      row.is_json,
      row.id,
      checksum(row.id, row.metadata, row.data),
      row.metadata,
      row.data,
    )
}
