import pg from 'pg'
import { expect, test } from 'vitest'
import { severities, sources, statuses } from '../../src/aggregates/incident/index.ts'
import { migrate } from '../../src/projections/database.ts'
import { createTestDatabase } from '../support/database.ts'

test('the enums in Postgres are those of the domain, in the same order', async () => {
  await using database = await createTestDatabase()
  await migrate(database.url)
  const client = new pg.Client(database.url)
  await client.connect()
  const { rows } = await client.query<{ type: string; labels: string[] }>(`
    SELECT t.typname AS type, array_agg(e.enumlabel::text ORDER BY e.enumsortorder) AS labels
    FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid
    WHERE t.typnamespace = 'ledger'::regnamespace GROUP BY t.typname`)
  await client.end()
  expect(Object.fromEntries(rows.map(({ type, labels }) => [type, labels]))).toEqual({
    status: statuses,
    severity: severities,
    source: sources,
  })
})

test('many processes can migrate at once', async () => {
  await using database = await createTestDatabase()
  await Promise.all(Array.from({ length: 4 }, () => migrate(database.url)))
})
