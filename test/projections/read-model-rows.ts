import pg from 'pg'

const tables = [
  'access_key_event',
  'incident',
  'incident_details',
  'incident_event',
  'learnt',
  'unreadable_event',
]

/** Every row of the live read model, as text, in an order of its own. */
export async function rowsOf(databaseUrl: string): Promise<Record<string, string[]>> {
  const client = new pg.Client(databaseUrl)
  await client.connect()
  try {
    const rows: Record<string, string[]> = {}
    for (const table of tables) {
      const found = await client.query<{ row: string }>(
        `SELECT t::text AS row FROM read_model.${table} t ORDER BY t::text COLLATE "C"`,
      )
      rows[table] = found.rows.map(({ row }) => row)
    }
    return rows
  } finally {
    await client.end()
  }
}
