import type pg from 'pg'
import type { IncidentId } from '../aggregates/incident/index.ts'
import { sql } from './sql.ts'

const longest = 36

/**
 * As much of an incident's id as tells it from most others, for people to read and type: a UUID of version 7 begins with its
 * time in milliseconds, any other with chance.
 */
export function shortId(id: IncidentId): string {
  return id.slice(0, id.charAt(14) === '7' ? 13 : 8)
}

/** At least this much of an id, or all of it. */
export const shortIdForm = /^[0-9a-f-]{4,36}$/

/** The incidents, at most three, whose ids begin so. `beginning` has `shortIdForm`; what no id begins with finds none. */
export async function incidentsOfShortId(
  client: Pick<pg.ClientBase, 'query'>,
  beginning: string,
): Promise<readonly IncidentId[]> {
  const bound = (fill: string) => `${beginning}${allDigits(fill).slice(beginning.length)}`
  const [first, last] = [bound('0'), bound('f')]
  if (beginning.length > longest || !uuidForm.test(first)) return []
  const { rows } = await client.query<{ id: IncidentId }>(sql('queries/incidents_of_short_id'), [first, last])
  return rows.map(({ id }) => id)
}

const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function allDigits(digit: string): string {
  return [8, 4, 4, 4, 12].map((length) => digit.repeat(length)).join('-')
}
