import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import type { Instant } from '../aggregates/incident/index.ts'
import { sql, sqlDirectory, sqlOf } from './sql.ts'

/** The projection of the incidents: its row in `ledger.projection`, and the name under which its leader is elected. */
export const projectionName = 'incidents'
/** Of the read model's tables and of what the code writes into them. Another number in the database: it is rebuilt. */
export const projectionVersion = 4

export const liveSchema = 'read_model'
export const nextSchema = 'read_model_next'

/** How long a connection may take to be made: a Postgres that is gone is to be noticed before the caller gives up. */
const connectTimeoutMs = 1_000
const migrationLockKey = 'incident ledger: migrations'

export interface ConnectionOptions {
  readonly databaseUrl: string
  /** The read model that unqualified names mean. */
  readonly schema?: string
  readonly statementTimeoutMs?: number
  /** How long to wait for the answer to a statement that the server does not end by itself. */
  readonly answerTimeoutMs?: number
}

/** What every connection to the read model is made with. */
export function connectionConfig({
  databaseUrl,
  schema = liveSchema,
  statementTimeoutMs = 0,
  answerTimeoutMs,
}: ConnectionOptions): pg.ClientConfig {
  return {
    connectionString: databaseUrl,
    application_name: 'incident-ledger',
    options: [
      `search_path=${schema},ledger`,
      'TimeZone=UTC',
      'DateStyle=ISO',
      `statement_timeout=${statementTimeoutMs}`,
      // A peer that vanished without a word holds its locks for these 15 s, not for two hours.
      'tcp_keepalives_idle=5',
      'tcp_keepalives_interval=2',
      'tcp_keepalives_count=5',
    ]
      .map((setting) => `-c ${setting}`)
      .join(' '),
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 5_000,
    ...(answerTimeoutMs && { query_timeout: answerTimeoutMs }),
    types: valueTypes,
  }
}

/** A pool of at most `max` connections. Errors of idle ones are the next query's to report. */
export function openPool({ max, ...options }: ConnectionOptions & { readonly max: number }): pg.Pool {
  const pool = new pg.Pool({ ...connectionConfig(options), max })
  pool.on('error', () => {})
  return pool
}

/**
 * Brings the database to the form that this version needs: migrations, functions, and an empty read model where there is
 * none. Safe to run from many processes at once.
 */
export async function migrate(databaseUrl: string): Promise<void> {
  await runner({
    databaseUrl,
    dir: fileURLToPath(new URL('migrations', sqlDirectory)),
    direction: 'up',
    migrationsTable: 'migration',
    migrationsSchema: 'ledger',
    createMigrationsSchema: true,
    advisoryLockMode: 'wait',
    log: () => {},
  })
  const client = new pg.Client(connectionConfig({ databaseUrl }))
  await client.connect()
  try {
    await client.query('BEGIN')
    await client.query(sql('queries/lock_until_commit'), [migrationLockKey])
    await client.query(sqlOf('functions'))
    const { rows } = await client.query(sql('queries/schema_exists'), [liveSchema])
    if (rows.length === 0) {
      await client.query(sql('queries/make_live_schema'))
      await client.query(sqlOf('read-model/tables'))
      await client.query(sql('read-model/indexes'))
    }
    await client.query(sql('queries/enlist_projection'), [projectionName, projectionVersion])
    await client.query('COMMIT')
  } finally {
    await client.end()
  }
}

const valueTypes = new pg.TypeOverrides()
valueTypes.setTypeParser(pg.types.builtins.TIMESTAMPTZ, instantOf)

/** `2026-01-31 09:00:00.12+00`, as Postgres writes a time when the zone is UTC, in ISO 8601 with milliseconds. */
function instantOf(text: string): Instant {
  const fraction = text.slice(20, -3)
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${fraction.padEnd(3, '0')}Z` as Instant // has the form of its brand
}
