import type { DatabaseSync } from 'node:sqlite'
import { LRUCache } from 'lru-cache'
import { checksum } from './checksum.ts'
import { BUSY_TIMEOUT_MS } from './database.ts'
import { firstReadable } from './event-reader.ts'
import type { RecordedEvent } from './events.ts'
import type { KnownStream, StreamChanges } from './stream-heads.ts'

/** Writes batches, each as one transaction with one fsync. */
export interface EventWriter {
  /**
   * Commits a batch; returns whether stored events were erased by it. Throws when nothing of it was written.
   * What is erased is gone from the file and from its write-ahead log on return.
   */
  commit(events: readonly RecordedEvent[], changes: StreamChanges): boolean
  /** Whether a transaction can be committed again after one could not. */
  probe(): boolean
  /** Folds the write-ahead log into the file and closes it. */
  close(): void
}

/** More than fits in the free space that a single page may still have. */
const PROBE_BYTES = 64 * 1024

const CACHED_TYPES = 4096

/** How long erased pages stay in the write-ahead log after what kept them there, a backup for one, is over. */
const FOLD_AGAIN_MS = 500

export function createEventWriter(database: DatabaseSync): EventWriter {
  const begin = database.prepare('BEGIN')
  const end = database.prepare('COMMIT')
  const insertEvent = database.prepare(
    'INSERT INTO event (position, stream, revision, created, type, is_json, id, checksum, metadata, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
  )
  const insertStream = database.prepare('INSERT INTO stream (id, name) VALUES (?, ?)')
  const selectStreamId = database.prepare('SELECT id FROM stream WHERE name = ?')
  const alterStream = database.prepare(
    'UPDATE stream SET truncate_before = ?, max_count = ?, max_age_seconds = ?, tombstoned = ? WHERE id = ?',
  )
  const selectFirstByAge = database.prepare(
    'SELECT revision FROM event WHERE stream = ? AND revision >= ? AND created >= ? ORDER BY revision LIMIT 1',
  )
  const eraseEvents = database.prepare(
    'DELETE FROM event WHERE stream = ? AND revision >= ? AND revision < ?',
  )
  const raiseFirst = database.prepare('UPDATE stream SET first_revision = ? WHERE id = ?')
  const keepLastPosition = database.prepare('UPDATE log SET last_position = ?')
  const insertType = database.prepare('INSERT INTO event_type (name) VALUES (?)')
  const selectType = database.prepare('SELECT id FROM event_type WHERE name = ?')
  const fillProbe = database.prepare('INSERT INTO probe VALUES (zeroblob(?))')
  const emptyProbe = database.prepare('DELETE FROM probe')
  const fold = database.prepare('PRAGMA main.wal_checkpoint(TRUNCATE)')
  const types = new LRUCache<string, number>({ max: CACHED_TYPES })
  let hasErasedPagesInLog = false
  let foldingAgain: NodeJS.Timeout | undefined

  function transact(work: () => void): void {
    begin.run()
    try {
      work()
      end.run()
    } catch (error) {
      types.clear()
      // SQLite has already rolled back on some errors, a full disk among them.
      if (database.isTransaction) database.exec('ROLLBACK')
      throw error
    }
  }

  function commit(events: readonly RecordedEvent[], changes: StreamChanges): boolean {
    let erased = 0
    const raised: [KnownStream, number][] = []
    transact(() => {
      const ids = new Map<string, number>()
      for (const stream of changes.created) {
        insertStream.run(stream.id, stream.name)
        ids.set(stream.name, stream.id)
      }
      for (const event of events) insert(event, idOf(event.streamName, ids))
      for (const stream of changes.altered) alter(stream)
      for (const stream of changes.limited) {
        const first = firstToKeep(stream)
        if (first <= stream.firstRevision) continue
        erased += Number(eraseEvents.run(stream.id, stream.firstRevision, first).changes)
        raiseFirst.run(first, stream.id)
        raised.push([stream, first])
      }
      const last = events.at(-1)
      // Should the newest event be among the erased, its position must not be given out again.
      if (erased > 0 && last !== undefined) keepLastPosition.run(last.position)
    })
    for (const [stream, first] of raised) stream.firstRevision = first
    if (erased > 0) hasErasedPagesInLog = true
    if (hasErasedPagesInLog) foldLog()
    return erased > 0
  }

  function idOf(streamName: string, ids: Map<string, number>): number {
    const known = ids.get(streamName)
    if (known !== undefined) return known
    const id = Number(selectStreamId.get(streamName)?.id)
    ids.set(streamName, id)
    return id
  }

  function insert(event: RecordedEvent, streamId: number): void {
    const id = parseUuid(event.id)
    insertEvent.run(
      event.position,
      streamId,
      event.revision,
      event.createdMs,
      typeId(event.type),
      event.isJson ? 1 : 0,
      id,
      checksum(id, event.metadata, event.data),
      event.metadata.length === 0 ? null : event.metadata,
      event.data.length === 0 ? null : event.data,
    )
  }

  function typeId(name: string): number {
    const known = types.get(name) ?? selectType.get(name)?.id
    const id = Number(known ?? insertType.run(name).lastInsertRowid)
    types.set(name, id)
    return id
  }

  function alter(stream: KnownStream): void {
    alterStream.run(
      stream.truncateBefore,
      stream.maxCount,
      stream.maxAgeSeconds,
      stream.tombstoned ? 1 : 0,
      stream.id,
    )
  }

  function firstToKeep(stream: KnownStream): number {
    if (stream.tombstoned) return stream.lastRevision
    const first = Math.min(firstReadable(stream), stream.lastRevision + 1)
    if (stream.maxAgeSeconds === null) return first
    const youngest = Date.now() - stream.maxAgeSeconds * 1000
    const byAge = selectFirstByAge.get(stream.id, first, youngest)?.revision
    return byAge === undefined ? stream.lastRevision + 1 : Number(byAge)
  }

  /**
   * Copies the write-ahead log into the file and empties it, so that no erased page lives on in it. What was committed
   * stays committed when this fails, on a full disk for one, or because a backup reads; it is tried again, not waited for.
   */
  function foldLog(): void {
    clearTimeout(foldingAgain)
    try {
      database.exec('PRAGMA busy_timeout = 0')
      hasErasedPagesInLog = fold.get()?.busy !== 0
    } catch {
    } finally {
      database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
    }
    if (hasErasedPagesInLog) foldingAgain = setTimeout(foldLog, FOLD_AGAIN_MS).unref()
  }

  return {
    commit,
    probe() {
      try {
        transact(() => fillProbe.run(PROBE_BYTES))
        transact(() => emptyProbe.run())
        return true
      } catch {
        return false
      }
    },
    close() {
      foldLog()
      clearTimeout(foldingAgain)
      database.close()
    },
  }
}

/** The 16 bytes of a UUID written with dashes. */
function parseUuid(text: string): Buffer {
  return Buffer.from(text.replaceAll('-', ''), 'hex')
}
