/**
 * Someone with write access to the event store alters history in its file, as carefully as can be: with the checksums made again. Whatever
 * they do, the notary stops at its next start and says which event it is.
 */
import { cp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkpointText } from '../../src/audit/checkpoint.ts'
import { noteSigner, signNote } from '../../src/audit/signed-note.ts'
import { checksum } from '../../src/embedded/event-store/checksum.ts'
import { openDatabase } from '../../src/embedded/event-store/database.ts'
import { type ServiceProcess, startService } from '../support/service-process.ts'
import { checkpointOver, type newestCheckpoint } from '../support/signed-ledger.ts'
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

beforeAll(async () => {
  data = await temporaryDirectory()
  service = await startService({ DATA_DIR: data.path })
  for (let n = 0; n < incidents; n += 1) {
    const body = { source: 'monitoring', description: `Disk ${n} is full` }
    const path = (await service.call('POST', '/incidents', { body })).headers.get('location') ?? ''
    await service.call('PATCH', `${path}/status`, { body: { status: 'in_progress' } })
    await checkpointOver(service, n * eventsEach + 2)
    await service.call('PATCH', `${path}/status`, { body: { status: 'resolved' } })
  }
  signed = await checkpointOver(service, size)
  await service.stop()
  await cp(folder(), untouched(), { recursive: true })
}, 120_000)

afterAll(async () => {
  await service[Symbol.asyncDispose]()
  await data.remove()
})

/** What the notary says when it starts over the altered store. */
async function verdictOn(alter: (database: DatabaseSync, events: Row[]) => void): Promise<string> {
  await rm(folder(), { recursive: true })
  await cp(untouched(), folder(), { recursive: true })
  const database = openDatabase(folder())
  try {
    alter(database, ledgerEvents(database))
  } finally {
    database.close()
  }
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
    return notary.reason ?? 'nothing is altered'
  } finally {
    await service.stop()
    await starting
  }
}

describe('the notary', { timeout: 60_000 }, () => {
  test('passes a ledger that nobody altered', async () => {
    expect(await verdictOn(() => {})).toBe('nothing is altered')
  })

  test('notices a bit flipped in an event', async () => {
    const said = await verdictOn((database, events) => {
      const event = events[4] ?? expect.fail('there is no event 4')
      const text = Buffer.from(event.data).toString().replace('in_progress', 'on_progress')
      write(database, { ...event, data: Buffer.from(text) })
    })
    expect(said).toMatch(/index 4: .* other content/)
  })

  test('notices two events swapped', async () => {
    const said = await verdictOn((database, events) => {
      const [one, other] = [events[2], events[3]]
      if (!one || !other) throw new Error('there are too few events')
      database.prepare('DELETE FROM event WHERE position IN (?, ?)').run(one.position, other.position)
      write(database, { ...one, position: other.position })
      write(database, { ...other, position: one.position })
    })
    expect(said).toMatch(/index 2: /)
  })

  test('notices one removed', async () => {
    const said = await verdictOn((database, events) => {
      database.prepare('DELETE FROM event WHERE position = ?').run(events[5]?.position ?? -1)
    })
    expect(said).toMatch(/index 5: /)
  })

  test('notices one inserted', async () => {
    const said = await verdictOn((database, events) => {
      const event = events[5] ?? expect.fail('there is no event 5')
      for (const { position } of allPositions(database).filter(({ position }) => position > event.position)) {
        database.prepare('UPDATE event SET position = ? WHERE position = ?').run(position + 1, position)
      }
      database.exec('UPDATE log SET last_position = last_position + 1')
      write(database, { ...event, position: event.position + 1, revision: 3, id: Buffer.alloc(16, 7) })
    })
    expect(said).toMatch(/index 6: .* revision 3 /)
  })

  test('notices the tail cut', async () => {
    const said = await verdictOn((database, events) => {
      for (const { position } of events.slice(-2)) {
        database.prepare('DELETE FROM event WHERE position = ?').run(position)
      }
    })
    expect(said).toMatch(/index 10: .* ends before it/)
  })

  test('notices the tail cut with the notes over it', async () => {
    const said = await verdictOn((database, events) => {
      const from = events.at(-2)?.position ?? 0
      database.prepare('DELETE FROM event WHERE position >= ?').run(from)
    })
    expect(said).toMatch(/index 10: .* ends before it/)
  })

  test('notices a note signed over another tree, with the very key', async () => {
    const seed = Buffer.from((await readFile(join(data.path, 'signing-key'), 'utf8')).trim(), 'base64url')
    const forged = signNote(checkpointText({ ...signed, root: Buffer.alloc(32, 1) }), [
      noteSigner(signed.origin, seed),
    ])
    const said = await verdictOn((database) => {
      const last = notes(database).at(-1) ?? expect.fail('there is no note')
      const held = JSON.parse(Buffer.from(last.data).toString())
      write(database, { ...last, data: Buffer.from(JSON.stringify({ ...held, note: forged })) })
    })
    expect(said).toMatch(/another tree of 12 events/)
  })
})

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
