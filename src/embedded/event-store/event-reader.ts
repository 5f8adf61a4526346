import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { describedBy, END_OF_STREAM, type EventHead, type RecordedEvent } from './events.ts'
import { keepNewest, type Retention } from './stream-metadata.ts'

/** A stream as it is stored: what has been committed, nothing that is still on its way. */
export interface StoredStream extends Retention {
  readonly id: number
  readonly name: string
  /** −1 for a stream without events. */
  readonly lastRevision: number
  /** Events below this revision have been removed from the file. */
  readonly firstRevision: number
  readonly tombstoned: boolean
}

/** Reads committed events in pages, each bounded in events and in bytes. An empty page is the end. */
export interface EventReader {
  lastPosition(): number
  stream(name: string): StoredStream | undefined
  /** Events after `position`, oldest first. */
  allForwards(position: number, limit?: number): RecordedEvent[]
  /** As `allForwards`, without what the events hold, which is then not read from the file either. */
  headsForwards(position: number): EventHead[]
  /** Events before `position`, newest first. */
  allBackwards(position: number, limit?: number): RecordedEvent[]
  /** Events from `from` to `to`, both inclusive, oldest first. */
  streamForwards(streamId: number, from: number, to: number, limit?: number): RecordedEvent[]
  /** Events from `from` down to `to`, both inclusive, newest first. */
  streamBackwards(streamId: number, from: number, to: number, limit?: number): RecordedEvent[]
}

const PAGE_EVENTS = 512
/** Every reader that stops reading holds one page. */
const PAGE_BYTES = 128 * 1024

export function createEventReader(database: DatabaseSync): EventReader {
  const selectLast = database.prepare(
    'SELECT max(coalesce((SELECT max(position) FROM event), 0), last_position) AS last FROM log',
  )
  const selectStream = database.prepare(`
    SELECT id, first_revision, truncate_before, max_count, max_age_seconds, tombstoned,
      (SELECT max(revision) FROM event WHERE stream = stream.id) AS last_revision
    FROM stream WHERE name = ?`)
  const allForwards = prepareEvents(database, 'position > ? ORDER BY position')
  const headsForwards = database.prepare(`
    SELECT position, stream.name, event_type.name
    FROM event CROSS JOIN stream ON stream.id = event.stream CROSS JOIN event_type ON event_type.id = event.type
    WHERE position > ? ORDER BY position LIMIT ${PAGE_EVENTS}`)
  headsForwards.setReturnArrays(true)
  const allBackwards = prepareEvents(database, 'position < ? ORDER BY position DESC')
  const streamForwards = prepareEvents(database, 'stream = ? AND revision BETWEEN ? AND ? ORDER BY revision')
  const streamBackwards = prepareEvents(
    database,
    'stream = ? AND revision <= ? AND revision >= ? ORDER BY revision DESC',
  )
  return {
    lastPosition: () => Number(selectLast.get()?.last),
    stream: (name) => toStream(name, selectStream.get(name)),
    allForwards: (position, limit) => page(allForwards, [position], limit),
    headsForwards: (position) => {
      const rows: unknown[] = headsForwards.all(position)
      return rows.map((row) => {
        const [place, streamName, type] = row as [number, string, string] // the statement's own column list
        return { position: place, streamName, type }
      })
    },
    allBackwards: (position, limit) => page(allBackwards, [position], limit),
    streamForwards: (id, from, to, limit) => page(streamForwards, [id, from, to], limit),
    streamBackwards: (id, from, to, limit) => page(streamBackwards, [id, from, to], limit),
  }
}

/** An event's bytes come as one value, because each Uint8Array that crosses into JavaScript costs more than its copy. */
function prepareEvents(database: DatabaseSync, condition: string): StatementSync {
  const statement = database.prepare(`
    SELECT position, stream.name, revision, created, event_type.name, is_json, coalesce(length(metadata), 0),
      CAST(event.id || coalesce(metadata, x'') || coalesce(data, x'') AS BLOB)
    FROM event CROSS JOIN stream ON stream.id = event.stream CROSS JOIN event_type ON event_type.id = event.type
    WHERE ${condition} LIMIT ?`)
  statement.setReturnArrays(true)
  return statement
}

type EventRow = [number, string, number, number, string, number, number, Uint8Array]

function page(statement: StatementSync, bounds: number[], limit = PAGE_EVENTS): RecordedEvent[] {
  const events: RecordedEvent[] = []
  let bytes = 0
  try {
    const rows: Iterable<unknown> = statement.iterate(...bounds, Math.min(limit, PAGE_EVENTS))
    for (const row of rows) {
      // The statement's own column list is the row's type.
      const event = toEvent(row as EventRow)
      events.push(event)
      bytes += event.data.length + event.metadata.length
      if (bytes >= PAGE_BYTES) break
    }
    return events
  } catch (error) {
    forgetFailure(statement, bounds)
    throw error
  }
}

/** node:sqlite's iterate() leaves a failed statement as it is, and whoever used it next would fail as well. */
function forgetFailure(statement: StatementSync, bounds: number[]): void {
  try {
    statement.get(...bounds, 0)
  } catch {}
}

const UUID_BYTES = 16

function toEvent(row: EventRow): RecordedEvent {
  const [position, streamName, revision, createdMs, type, isJson, metadataBytes, bytes] = row
  const dataStart = UUID_BYTES + metadataBytes
  return {
    position,
    streamName,
    revision,
    createdMs,
    type,
    isJson: isJson === 1,
    id: formatUuid(bytes.subarray(0, UUID_BYTES)),
    metadata: bytes.subarray(UUID_BYTES, dataStart),
    data: bytes.subarray(dataStart),
  }
}

function toStream(name: string, row: Record<string, unknown> | undefined): StoredStream | undefined {
  if (row === undefined) return undefined
  const firstRevision = Number(row.first_revision)
  const stored = {
    id: Number(row.id),
    name,
    firstRevision,
    lastRevision: row.last_revision === null ? firstRevision - 1 : Number(row.last_revision),
    tombstoned: row.tombstoned === 1,
  }
  if (describedBy(name) !== undefined) return { ...stored, ...keepNewest }
  return {
    ...stored,
    maxCount: numberOrNull(row.max_count),
    maxAgeSeconds: numberOrNull(row.max_age_seconds),
    truncateBefore: Number(row.truncate_before),
  }
}

function numberOrNull(value: unknown): number | null {
  return value === null ? null : Number(value)
}

/** The 16 bytes of a UUID in its usual lower-case form. */
export function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** The first revision of a stream that can be read, counting only, not by age. */
export function firstReadable(stream: StoredStream): number {
  const byCount = stream.maxCount === null ? 0 : stream.lastRevision + 1 - stream.maxCount
  return Math.max(stream.firstRevision, stream.truncateBefore, byCount)
}

/** Whether the stream was deleted for good, or is the metadata of one that was. */
export function isTombstoned(reader: EventReader, name: string, stream: StoredStream | undefined): boolean {
  const described = describedBy(name)
  return (
    stream?.tombstoned === true || (described !== undefined && reader.stream(described)?.tombstoned === true)
  )
}

/** Whether the stream was deleted and may be written to again. */
export function isSoftDeleted(stream: Retention): boolean {
  return stream.truncateBefore === END_OF_STREAM
}
