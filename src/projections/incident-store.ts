import type pg from 'pg'
import { type IncidentId, personalFields } from '../aggregates/incident/index.ts'
import type { StoredCheckpoint } from './checkpoint.ts'
import type { Changes } from './incident-projection.ts'
import { type CurrentRow, incidentRow, type Standing, standingOf } from './incident-rows.ts'
import { sql } from './sql.ts'
import { openStandings, type Standings } from './standings.ts'

const keptCharacters = 8_000_000

/** The incidents as they stand in the read model that the connection sees; absent where there is none of that id. */
export async function readStandings(
  client: pg.ClientBase | pg.Pool,
  ids: readonly IncidentId[],
): Promise<Map<IncidentId, Standing>> {
  if (ids.length === 0) return new Map()
  const { rows } = await client.query<CurrentRow>({
    name: 'incidents by id',
    text: sql('queries/incidents_by_id'),
    values: [ids],
  })
  return new Map(rows.map((row) => [row.id, standingOf(row)]))
}

/** What the only writer of the read model knows of it. */
export function standingsIn(client: pg.ClientBase): Standings {
  return openStandings((unknown) => readStandings(client, [...unknown.keys()]), keptCharacters)
}

/**
 * Writes a batch's changes and moves the checkpoint `from` one event `to` another, in one transaction and one round trip.
 * Throws an error that `isCheckpointMoved` knows where the checkpoint is elsewhere; nothing is written then.
 */
export async function writeBatch(
  client: pg.ClientBase,
  batch: {
    readonly name: string
    readonly from: StoredCheckpoint
    readonly to: StoredCheckpoint
    readonly changes: Changes
    readonly farBehind: boolean
  },
): Promise<void> {
  const { name, from, to, changes, farBehind } = batch
  const { events, accessKeyEvents, details, incidents, unreadable, erasures } = changes
  await client.query({
    name: 'project incidents',
    text: sql('queries/project_incidents'),
    values: [
      name,
      checkpointJson(from),
      checkpointJson(to),
      farBehind,
      JSON.stringify(events),
      JSON.stringify(accessKeyEvents),
      JSON.stringify(details),
      JSON.stringify(Array.from(incidents.values(), incidentRow)),
      JSON.stringify(unreadable),
      JSON.stringify(erasures),
      JSON.stringify(personalFields),
    ],
  })
}

function checkpointJson({ generation, index, position, eventId }: StoredCheckpoint): string {
  const place = position && { commit: String(position.commit), prepare: String(position.prepare) }
  return JSON.stringify({ generation, index, eventId, ...place })
}
