/**
 * Everything is killed in turn while writers write. What must hold afterwards: each acknowledged change is in the ledger,
 * once; and a read model made anew equals the live one, row for row.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { expect, test } from 'vitest'
import { startEventStoreProcess } from '../support/event-store.ts'
import { type Answer, type ServiceProcess, startService } from '../support/service-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { waitFor } from '../support/wait-for.ts'

const writers = 8
const rounds = 2

interface Written {
  readonly path: string
  readonly notes: string[]
}

test('nothing acknowledged is lost or doubled when node, Postgres and service are killed under load', async () => {
  await using data = await temporaryDirectory()
  await using eventStore = await startEventStoreProcess()
  const environment = {
    DATA_DIR: data.path,
    EVENTSTORE_URL: eventStore.url,
    LEDGER_SECRET: 'a-secret-for-the-crash-test-only-',
  }
  await using service = await startService(environment)
  const kills = {
    'the event store node': async () => {
      await eventStore.kill()
      await eventStore.restart()
    },
    Postgres: async () => process.kill(await postmaster(data.path), 'SIGKILL'),
    'the service': async () => {
      await service.kill()
      await service.start()
    },
  }

  const written: Written[] = []
  const stop = new AbortController()
  const writing = Promise.all(
    Array.from({ length: writers }, (_, n) => write(service, n, written, stop.signal)),
  )
  for (let round = 0; round < rounds; round += 1) {
    for (const [what, kill] of Object.entries(kills)) {
      const before = acknowledged(written)
      await kill()
      await waitFor(() => acknowledged(written) > before + 10 * writers, {
        describe: `writers go on after ${what} was killed; the service printed: ${service.output().slice(-2_000)}`,
      })
    }
  }
  stop.abort()
  await writing

  for (const { path, notes } of written) {
    const { body } = await service.call('GET', `${path}/history`)
    const events: { revision: number; data: { text?: string } }[] = body.items
    expect(events.map((event) => event.revision)).toEqual(events.map((_, revision) => revision))
    expect(events.flatMap((event) => event.data.text ?? []).sort()).toEqual(notes.toSorted())
  }

  const { databaseUrl } = JSON.parse(await readFile(join(data.path, 'attach.json'), 'utf8'))
  await waitFor(async () => (await countOf(databaseUrl, 'incident')) === written.length, {
    describe: `all ${written.length} incidents are projected`,
  })
  const live = await rowsOf(databaseUrl)
  const { PATH } = process.env
  await promisify(execFile)('bin/incident-ledger', ['rebuild'], { env: { PATH, ...environment } })
  expect(await rowsOf(databaseUrl)).toEqual(live)
})

/** Reports incidents and adds notes to them, each request repeated with its key until it is acknowledged. */
async function write(service: ServiceProcess, writer: number, written: Written[], stop: AbortSignal) {
  for (let n = 0; !stop.aborted; n += 1) {
    const created = await insist(service, '/incidents', `${writer}-${n}`, {
      source: 'monitoring',
      description: `incident ${n} of writer ${writer}`,
    })
    const entry: Written = { path: created.headers.get('location') ?? '', notes: [] }
    written.push(entry)
    for (let m = 0; m < 5 && !stop.aborted; m += 1) {
      const text = `note ${m}`
      await insist(service, `${entry.path}/notes`, `${writer}-${n}-${m}`, { text })
      entry.notes.push(text)
    }
  }
}

function insist(service: ServiceProcess, path: string, key: string, body: object): Promise<Answer> {
  const headers = { 'idempotency-key': `"${key}"` }
  return waitFor(
    async () => {
      const answer = await service.call('POST', path, { body, headers })
      if (answer.status >= 400 && answer.status !== 503) {
        throw new Error(`${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`)
      }
      return answer.status < 400 ? answer : undefined
    },
    { describe: `${path} with the key ${key} is acknowledged` },
  )
}

function acknowledged(written: readonly Written[]): number {
  return written.reduce((sum, { notes }) => sum + 1 + notes.length, 0)
}

/** Process id of the embedded Postgres: the first line of its lock file. */
async function postmaster(dataDir: string): Promise<number> {
  const file = await readFile(join(dataDir, 'postgres', 'cluster', 'postmaster.pid'), 'utf8')
  return Number(file.split('\n', 1)[0])
}

async function countOf(databaseUrl: string, table: string): Promise<number> {
  const { rows } = await query(databaseUrl, `SELECT count(*)::integer AS count FROM read_model.${table}`)
  return rows[0]?.count
}

/** Every row of every table of the read model, in the order of the text they make. */
async function rowsOf(databaseUrl: string): Promise<Record<string, string[]>> {
  const tables = await query(
    databaseUrl,
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'read_model' ORDER BY 1`,
  )
  const rows: Record<string, string[]> = {}
  for (const { name } of tables.rows) {
    const found = await query(databaseUrl, `SELECT t::text AS row FROM read_model.${name} t ORDER BY 1`)
    rows[name] = found.rows.map(({ row }) => row)
  }
  return rows
}

async function query(databaseUrl: string, text: string): Promise<pg.QueryResult> {
  const client = new pg.Client(databaseUrl)
  await client.connect()
  try {
    return await client.query(text)
  } finally {
    await client.end()
  }
}
