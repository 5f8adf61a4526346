import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'
import { waitFor } from './wait-for.ts'

export type TestDatabase = AsyncDisposable & {
  readonly url: string
  /** Ends whoever is still connected, and removes it. */
  drop(): Promise<void>
}

/** An empty database of its own for a test or a file, in the run's Postgres. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  await administer(`CREATE DATABASE ${name}`)
  const url = new URL(serverUrl())
  url.pathname = `/${name}`
  // Not while one of Postgres's own autovacuum workers is in it: those may be ended by a superuser only, and leave by themselves.
  const drop = async () => {
    const dropped = () => administer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`).then(() => true)
    await waitFor(dropped, { describe: `the database ${name} is dropped` })
  }
  return { url: url.href, drop, [Symbol.asyncDispose]: drop }
}

async function administer(statement: string): Promise<void> {
  const client = new pg.Client(serverUrl())
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

function serverUrl(): string {
  const url = inject('databaseUrl')
  if (url) return url
  throw new Error(`there is no Postgres for this test: ${inject('services').Postgres.why}`)
}
