import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isCheckpointMoved, readCheckpoint } from '../../src/projections/checkpoint.ts'
import { connectionConfig, migrate, projectionName } from '../../src/projections/database.ts'
import { writeBatch } from '../../src/projections/incident-store.ts'
import { lead } from '../../src/projections/leadership.ts'
import { rebuild } from '../../src/projections/rebuild.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { waitFor } from '../support/wait-for.ts'
import { newIncidentId, report, writer } from './history.ts'
import { inMemoryLedger } from './in-memory-ledger.ts'
import { rowsOf } from './read-model-rows.ts'

let database: TestDatabase
let client: pg.Client

beforeEach(async () => {
  database = await createTestDatabase()
  await migrate(database.url)
  client = new pg.Client(connectionConfig({ databaseUrl: database.url }))
  await client.connect()
})

afterEach(async () => {
  await client.end()
  await database.drop()
})

test('of two processes one leads; when it is killed the other goes on, and every event is taken in once', async () => {
  const ledger = inMemoryLedger()
  const { write } = writer()
  for (let count = 0; count < 1_500; count++) {
    const id = newIncidentId()
    ledger.append(
      ...write(id, report()),
      ...write(id, { type: 'ChangeStatus', body: { status: 'resolved' } }),
    )
  }
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'records.json')
  await writeFile(
    file,
    JSON.stringify(ledger.records, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
  )

  using first = projectorProcess(database.url, file)
  await waitFor(() => first.state() === 'leading', { describe: 'the first process leads' })
  using second = projectorProcess(database.url, file)
  await waitFor(() => second.state() === 'standby', { describe: 'the second process stands by' })
  const index = async () => (await readCheckpoint(client, projectionName)).index
  await waitFor(async () => (await index()) > 50, { describe: 'some events are projected' })

  first.kill()
  expect(await index()).toBeLessThan(ledger.records.length - 1)
  await waitFor(() => second.state() === 'leading', { describe: 'the second process leads' })
  await waitFor(async () => (await index()) === ledger.records.length - 1, { describe: 'all are projected' })

  const projected = await rowsOf(database.url)
  await rebuild({ databaseUrl: database.url, ledger, signal: new AbortController().signal })
  expect(await rowsOf(database.url)).toEqual(projected)
})

test('a leader whose connection is cut leads again by itself', async () => {
  const stop = new AbortController()
  let terms = 0
  const leading = lead(
    {
      databaseUrl: database.url,
      name: 'test',
      signal: stop.signal,
      log: pino({ level: 'silent' }),
      onState: () => {},
    },
    async (term) => {
      terms += 1
      await new Promise((resolve) => term.signal.addEventListener('abort', resolve))
      term.signal.throwIfAborted()
    },
  )
  await waitFor(() => terms === 1, { describe: 'it leads' })
  await client.query(
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid() AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
  )
  await waitFor(() => terms === 2, { describe: 'it leads again' })
  stop.abort()
  await leading
})

test('a stale leader is fenced: it cannot move a checkpoint that another has moved', async () => {
  const from = await readCheckpoint(client, projectionName)
  const changes = {
    events: [],
    accessKeyEvents: [],
    details: [],
    incidents: new Map(),
    unreadable: [],
    erasures: [],
  }
  const moveTo = (index: number) =>
    writeBatch(client, {
      name: projectionName,
      from,
      to: { ...from, index, position: { commit: 1n, prepare: 1n }, eventId: newIncidentId() },
      changes,
      farBehind: false,
    })
  await moveTo(3)
  const error = await moveTo(4).catch((reason: unknown) => reason)
  expect(isCheckpointMoved(error)).toBe(true)
  expect((await readCheckpoint(client, projectionName)).index).toBe(3)
})

function projectorProcess(databaseUrl: string, file: string) {
  const script = fileURLToPath(new URL('projector-process.ts', import.meta.url))
  const child: ChildProcess = spawn(process.execPath, [script, databaseUrl, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let state = ''
  if (child.stdout) createInterface(child.stdout).on('line', (line) => (state = line))
  const kill = () => void child.kill('SIGKILL')
  return { state: () => state, kill, gone: once(child, 'close'), [Symbol.dispose]: kill }
}
