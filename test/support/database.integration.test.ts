import pg from 'pg'
import { expect, test } from 'vitest'
import { createTestDatabase } from './database.ts'
import { isMissing } from './services.ts'

test.skipIf(isMissing('Postgres'))('each test database is empty, whatever is in another', async () => {
  await using first = await createTestDatabase()
  await using second = await createTestDatabase()
  await query(first.url, 'CREATE TABLE something (n int)')
  const tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
  expect(await query(first.url, tables)).toEqual([{ tablename: 'something' }])
  expect(await query(second.url, tables)).toEqual([])
})

test.skipIf(isMissing('Postgres'))('a test database can be dropped under a connected client', async () => {
  const database = await createTestDatabase()
  const client = new pg.Client(database.url)
  const cutOff = new Promise((resolve) => client.on('error', resolve))
  await client.connect()
  await database.drop()
  await cutOff
  await expect(query(database.url, 'SELECT 1')).rejects.toThrow('does not exist')
})

async function query(url: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query(statement)).rows
  } finally {
    await client.end()
  }
}
