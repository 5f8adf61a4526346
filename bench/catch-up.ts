/**
 * How fast the read model catches up on 200,000 events, beside COPY of the rows it ends with into the same, empty tables
 * with the same indexes.
 * Both with Postgres waiting for the disk at each commit.
 */
import { randomUUID } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { pino } from 'pino'
import {
  decide,
  evolve,
  type IncidentId,
  type IncidentState,
  instantOf,
  severities,
  sources,
  type TimelessCommand,
  unreported,
} from '../src/aggregates/incident/index.ts'
import type { LedgerRecord } from '../src/ledger/event.ts'
import type { Subscribe } from '../src/ledger/ledger.ts'
import { migrate } from '../src/projections/database.ts'
import { incidentProjection } from '../src/projections/incident-projector.ts'
import { runProjector } from '../src/projections/projector.ts'

const tables = ['incident', 'incident_details', 'incident_event']
const openAtATime = 500
const startMs = Date.UTC(2026, 0, 1)
const copyChunkBytes = 64 * 1024

export interface CatchUpResult {
  readonly events: number
  readonly projectedPerSecond: number
  readonly copiedPerSecond: number
  readonly ratio: number
  /** Of this process, without Postgres. */
  readonly cpuMicrosecondsPerEvent: number
}

/** Needs an empty database, which it migrates and fills. */
export async function measureCatchUp(databaseUrl: string, events = 200_000): Promise<CatchUpResult> {
  await migrate(databaseUrl)
  const records = syntheticHistory(events)
  const { seconds, cpuMicroseconds } = await projectAll(databaseUrl, records)
  const copySeconds = await copyAgain(databaseUrl)
  return {
    events,
    projectedPerSecond: events / seconds,
    copiedPerSecond: events / copySeconds,
    ratio: copySeconds / seconds,
    cpuMicrosecondsPerEvent: cpuMicroseconds / events,
  }
}

async function projectAll(databaseUrl: string, records: readonly LedgerRecord[]) {
  const stop = new AbortController()
  const subscribe: Subscribe = async function* ({ batchSize }) {
    for (let start = 0; start < records.length; start += batchSize) {
      const batch = records.slice(start, start + batchSize)
      yield { records: batch, caughtUp: start + batch.length === records.length }
    }
  }
  const cache = {
    takeOver: async () => {},
    withhold: async () => {},
    refresh: async () => {},
    suspend: async () => {},
    resume: async () => {},
  }
  const announceLocally = ({ index }: { readonly index: number }) => {
    if (index === records.length - 1) stop.abort()
  }
  const log = pino({ level: 'warn' })
  const began = performance.now()
  const cpu = process.cpuUsage()
  await runProjector(incidentProjection({ cache, announceLocally, rebuild: async () => {}, log }), {
    databaseUrl,
    ledger: { subscribe, readAt: async () => undefined },
    signal: stop.signal,
    log,
    onState: () => {},
  })
  const { user, system } = process.cpuUsage(cpu)
  return { seconds: (performance.now() - began) / 1_000, cpuMicroseconds: user + system }
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

/** Incidents of five events each, five hundred of them open at a time; texts of a few hundred characters. */
export function syntheticHistory(count: number): readonly LedgerRecord[] {
  const records: LedgerRecord[] = []
  while (records.length < count) {
    let states = Array.from({ length: openAtATime }, () => ({
      id: randomUUID() as IncidentId,
      state: initially,
    }))
    for (const step of lifeOf) {
      states = states.map(({ id, state }) => {
        const { record, next } = happened(id, state, step(records.length), records.length)
        records.push(record)
        return { id, state: next }
      })
    }
  }
  return records.slice(0, count)
}

type Command = TimelessCommand extends infer C ? (C extends TimelessCommand ? Omit<C, 'id'> : never) : never

const initially: IncidentState = unreported
const words =
  'the checkout of region answers no request since node lost its disk and queue grows while retries fail'.split(
    ' ',
  )
const wordAt = (seed: number) => `${words[seed % words.length]}${seed % 13 === 0 ? seed % 5_000 : ''}`
const textOf = (seed: number, length: number) =>
  Array.from({ length }, (_, n) => wordAt(seed * 31 + n * n)).join(' ')

const lifeOf: readonly ((seed: number) => Command)[] = [
  (seed) => ({
    type: 'Report',
    origin: `key-${seed % 20}`,
    body: {
      title: textOf(seed, 6),
      description: textOf(seed, 40),
      severity: severities[seed % severities.length] ?? 'medium',
      source: sources[seed % sources.length] ?? 'operator',
      assignee: `Person ${seed % 200}`,
      labels: { host: `host-${seed % 1_000}`, region: `region-${seed % 7}` },
    },
  }),
  () => ({ type: 'ChangeStatus', body: { status: 'in_progress' } }),
  (seed) => ({ type: 'AddNote', noteId: randomUUID(), text: textOf(seed, 20) }),
  (seed) => ({ type: 'ChangeStatus', body: { status: 'resolved', reason: textOf(seed, 8) } }),
  () => ({ type: 'ChangeStatus', body: { status: 'closed' } }),
]

function happened(id: IncidentId, state: IncidentState, command: Command, turn: number) {
  const at = instantOf(startMs + turn * 1_000)
  const decision = decide(
    { ...(command.type === 'Report' ? { ...command, id } : command), at, recordedAt: at },
    state,
  )
  const [event] = decision.ok ? decision.events : []
  if (event === undefined) throw new Error(`${command.type} changed nothing`)
  const next = evolve(id, state, event)
  const place = BigInt(turn + 1) * 500n
  const record: LedgerRecord = {
    kind: 'incident',
    id: randomUUID(),
    stream: `incident-${id}`,
    revision: next.revision,
    position: { commit: place, prepare: place },
    incidentId: id,
    event,
    metadata: {
      $correlationId: randomUUID(),
      actor: { kind: 'access-key', id: `key-${turn % 20}`, name: `Person ${turn % 20}` },
      at,
      recordedAt: at,
      schemaVersion: 1,
    },
  }
  return { record, next }
}
