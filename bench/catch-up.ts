/**
 * How fast the read model catches up on 200,000 events, from the embedded node through the ledger's own subscription, beside COPY of
 * the rows it ends with into the same, empty tables with the same indexes. Both with Postgres waiting for the disk at each commit.
 */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { startEventStoreNode } from '../src/embedded/event-store/node.ts'
import { openLedger } from '../src/ledger/open.ts'
import { migrate } from '../src/projections/database.ts'
import { incidentProjection } from '../src/projections/incident-projector.ts'
import { runProjector } from '../src/projections/projector.ts'
import { noCache } from '../test/projections/no-cache.ts'
import { writeHistory } from './bulk-history.ts'
import { silent } from './silent.ts'

const tables = ['incident', 'incident_details', 'incident_event', 'learnt']
const eventsEach = 5
const copyChunkBytes = 64 * 1024

export interface CatchUpResult {
  readonly events: number
  readonly projectedPerSecond: number
  readonly copiedPerSecond: number
  readonly ratio: number
  /** Of this process, with the event store's node and without Postgres. */
  readonly cpuMicrosecondsPerEvent: number
}

/** Needs an empty database, which it migrates and fills. */
export async function measureCatchUp(databaseUrl: string, events = 200_000): Promise<CatchUpResult> {
  await migrate(databaseUrl)
  const { seconds, cpuMicroseconds } = await projectAll(databaseUrl, events)
  const copySeconds = await copyAgain(databaseUrl)
  return {
    events,
    projectedPerSecond: events / seconds,
    copiedPerSecond: events / copySeconds,
    ratio: copySeconds / seconds,
    cpuMicrosecondsPerEvent: cpuMicroseconds / events,
  }
}

async function projectAll(databaseUrl: string, events: number) {
  const dataDir = await mkdtemp(join(tmpdir(), 'incident-ledger-bench-'))
  const secret = randomUUID()
  const lastIndex = events - 1
  await writeHistory({ dataDir, secret, incidents: events / eventsEach, eventsEach })
  const node = await startEventStoreNode({ dataDir })
  const ledger = await openLedger({
    eventStoreUrl: node.url,
    secret: { current: { version: 1, value: secret }, previous: [] },
    log: silent,
  })
  try {
    const stop = new AbortController()
    const announceLocally = ({ index }: { readonly index: number }) => {
      if (index === lastIndex) stop.abort()
    }
    const began = performance.now()
    const cpu = process.cpuUsage()
    await runProjector(
      incidentProjection({
        cache: noCache,
        announceLocally,
        rebuild: async () => {},
        completeErasure: async () => {},
        log: silent,
      }),
      { databaseUrl, ledger, signal: stop.signal, log: silent, onState: () => {} },
    )
    const { user, system } = process.cpuUsage(cpu)
    return { seconds: (performance.now() - began) / 1_000, cpuMicroseconds: user + system }
  } finally {
    await ledger.close()
    await node.close()
    await rm(dataDir, { recursive: true, force: true })
  }
}

async function copyAgain(databaseUrl: string): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl, options: '-c search_path=read_model,ledger' })
  await client.connect()
  try {
    const copies = []
    for (const table of tables) {
      const columns = await columnsOf(client, table)
      const chunks: Buffer[] = []
      for await (const chunk of client.query(copyTo(`COPY ${table} (${columns}) TO STDOUT`)))
        chunks.push(chunk)
      copies.push({ table, columns, text: Buffer.concat(chunks) })
    }
    await client.query(`TRUNCATE ${tables.join(', ')}`)
    await client.query('CHECKPOINT').catch(() => {})
    const began = performance.now()
    for (const { table, columns, text } of copies) {
      await pipeline(chunksOf(text), client.query(copyFrom(`COPY ${table} (${columns}) FROM STDIN`)))
    }
    return (performance.now() - began) / 1_000
  } finally {
    await client.end()
  }
}

function* chunksOf(text: Buffer) {
  for (let start = 0; start < text.length; start += copyChunkBytes)
    yield text.subarray(start, start + copyChunkBytes)
}

/** All but the generated ones, which COPY computes too. */
async function columnsOf(client: pg.Client, table: string): Promise<string> {
  const { rows } = await client.query<{ columns: string }>(
    `SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns FROM pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND attgenerated = ''`,
    [table],
  )
  return rows[0]?.columns ?? ''
}
