import type { DatabaseSync } from 'node:sqlite'
import { checksum } from './checksum.ts'
import { openForReading } from './database.ts'
import { describedBy, END_OF_STREAM } from './events.ts'
import { keepEverything, parseRetention } from './stream-metadata.ts'

/** What one check looked at, how many there were of it, and what is wrong. */
export interface LogCheck {
  readonly what: string
  readonly checked: number
  readonly faults: readonly string[]
}

/** After so many faults of one kind one knows. */
const MAX_FAULTS = 20

/**
 * Walks a log's whole file and yields each check when it is done. The log may be in use: what is checked is what was
 * committed when the check began.
 *
 * @throws EventStoreOpenError when the file cannot be opened as a log.
 */
export function* checkLog(path: string): Generator<LogCheck> {
  const database = openForReading(path)
  try {
    database.exec('BEGIN')
    for (const [what, check] of Object.entries(checks)) yield { what, ...attempt(check, database) }
  } finally {
    database.close()
  }
}

type Check = (database: DatabaseSync) => Omit<LogCheck, 'what'>

function attempt(check: Check, database: DatabaseSync): Omit<LogCheck, 'what'> {
  try {
    return check(database)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { checked: 0, faults: [`the file cannot be read to its end: ${reason}`] }
  }
}

const checks: Record<string, Check> = {
  'pages and indexes (SQLite)': checkPages,
  'positions: each event has one, and those without an event were erased': checkPositions,
  'revisions: dense in each stream, in the order of the positions': checkRevisions,
  'streams: heads against events': checkHeads,
  'metadata: what streams keep against their newest metadata': checkMetadata,
  'events: types, ids, times, checksums': checkEvents,
}

function checkPages(database: DatabaseSync) {
  const messages = database.prepare(`PRAGMA integrity_check(${MAX_FAULTS})`).all()
  const faults = messages.map((row) => String(row.integrity_check)).filter((message) => message !== 'ok')
  return { checked: count(database, 'SELECT page_count FROM pragma_page_count'), faults }
}

/** Positions are given out without gaps, so those that are missing have to be as many as were erased. */
function checkPositions(database: DatabaseSync) {
  const stored = count(database, 'SELECT count(*) FROM event')
  const last = count(
    database,
    'SELECT max(coalesce((SELECT max(position) FROM event), 0), last_position) FROM log',
  )
  const first = count(database, 'SELECT coalesce(min(position), 1) FROM event')
  const erased = count(
    database,
    'SELECT coalesce(sum(first_revision), 0) FROM stream WHERE first_revision < ?',
    END_OF_STREAM,
  )
  // A tombstone takes the count of what it erased with it.
  const tombstones = count(database, 'SELECT count(*) FROM stream WHERE first_revision = ?', END_OF_STREAM)
  const missing = last - stored
  const faults: string[] = []
  if (first < 1) faults.push(`there is an event at position ${first}`)
  if (missing < erased || (tombstones === 0 && missing > erased)) {
    faults.push(`of ${last} positions ${missing} have no event, but ${erased} events were erased`)
  }
  return { checked: stored, faults }
}

function checkRevisions(database: DatabaseSync) {
  const faulty = database.prepare(`
    SELECT stream.name, revision, previous, position, previous_position FROM (
      SELECT stream, revision, position,
        lag(revision) OVER by_revision AS previous, lag(position) OVER by_revision AS previous_position
      FROM event WINDOW by_revision AS (PARTITION BY stream ORDER BY revision)
    ) AS step LEFT JOIN stream ON stream.id = step.stream
    WHERE (revision <> previous + 1 AND revision <> ?) OR position <= previous_position LIMIT ?`)
  const faults = faulty
    .all(END_OF_STREAM, MAX_FAULTS)
    .map((row) =>
      Number(row.position) <= Number(row.previous_position)
        ? `${row.name}: revision ${row.revision} is at position ${row.position}, before revision ${row.previous}`
        : `${row.name}: revision ${row.revision} follows revision ${row.previous}`,
    )
  return { checked: count(database, 'SELECT count(*) FROM event'), faults }
}

function checkHeads(database: DatabaseSync) {
  const faults: string[] = []
  const orphans = 'SELECT count(*) FROM event WHERE stream NOT IN (SELECT id FROM stream)'
  const orphaned = count(database, orphans)
  if (orphaned > 0) faults.push(`${orphaned} events belong to no stream`)
  const faulty = database.prepare(`
    SELECT name, first_revision, tombstoned, first, last FROM (
      SELECT name, first_revision, tombstoned,
        (SELECT min(revision) FROM event WHERE stream = stream.id) AS first,
        (SELECT max(revision) FROM event WHERE stream = stream.id) AS last
      FROM stream
    ) WHERE (first IS NOT NULL AND first <> first_revision) OR tombstoned <> (last IS NOT NULL AND last = ?) LIMIT ?`)
  for (const row of faulty.iterate(END_OF_STREAM, MAX_FAULTS)) {
    faults.push(
      row.first !== row.first_revision
        ? `${row.name} begins at revision ${row.first}, but by its head at ${row.first_revision}`
        : `${row.name} is ${row.tombstoned === 1 ? 'marked as deleted for good without' : 'not marked as deleted for good but has'} a tombstone`,
    )
  }
  return { checked: count(database, 'SELECT count(*) FROM stream'), faults }
}

function checkMetadata(database: DatabaseSync) {
  const streams = database.prepare(`
    SELECT stream.name, stream.truncate_before, stream.max_count, stream.max_age_seconds, is_json, data
    FROM stream LEFT JOIN stream AS metastream ON metastream.name = '$$' || stream.name
    LEFT JOIN event ON event.stream = metastream.id AND revision = (
      SELECT max(revision) FROM event WHERE event.stream = metastream.id AND revision < ?
    )
    WHERE metastream.id IS NOT NULL
      OR stream.max_count IS NOT NULL OR stream.max_age_seconds IS NOT NULL OR stream.truncate_before > 0`)
  const faults: string[] = []
  let checked = 0
  for (const row of streams.iterate(END_OF_STREAM)) {
    checked += 1
    if (describedBy(String(row.name)) !== undefined) continue
    const { data, is_json } = row
    const told = data instanceof Uint8Array ? parseRetention({ data, isJson: is_json === 1 }) : keepEverything
    const kept = [row.truncate_before, row.max_count, row.max_age_seconds].join()
    if (kept === [told.truncateBefore, told.maxCount, told.maxAgeSeconds].join()) continue
    faults.push(`${row.name} keeps other events than its metadata say`)
    if (faults.length === MAX_FAULTS) break
  }
  return { checked, faults }
}

function checkEvents(database: DatabaseSync) {
  const events = database.prepare(`
    SELECT position, created, is_json, event.id AS id, checksum, metadata, data, event_type.name AS type
    FROM event LEFT JOIN event_type ON event_type.id = event.type ORDER BY position`)
  const faults: string[] = []
  let checked = 0
  for (const row of events.iterate()) {
    checked += 1
    const fault = faultOf(row)
    if (fault !== undefined) faults.push(`the event at position ${row.position} ${fault}`)
    if (faults.length === MAX_FAULTS) break
  }
  return { checked, faults }
}

function faultOf({ created, is_json, id, checksum: stored, metadata, data, type }: Record<string, unknown>) {
  if (type === null) return 'has no type'
  if (!(id instanceof Uint8Array) || id.length !== 16) return 'has no UUID'
  if (typeof created !== 'number' || created < 0) return 'has no time'
  if (is_json !== 0 && is_json !== 1) return 'is neither JSON nor bytes'
  // Written before format 2.
  if (stored === null) return undefined
  return stored === checksum(id, bytesOf(metadata), bytesOf(data)) ? undefined : 'is not as it was written'
}

function bytesOf(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : nothing
}

const nothing = new Uint8Array(0)

function count(database: DatabaseSync, query: string, ...parameters: number[]): number {
  const [value] = Object.values(database.prepare(query).get(...parameters) ?? {})
  return Number(value)
}
