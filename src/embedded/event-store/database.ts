import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Raised on opening a log that cannot be used; the message is for a person. */
export class EventStoreOpenError extends Error {
  override readonly name = 'EventStoreOpenError'
}

const FILE_NAME = 'events.sqlite'
/** Locked while a node uses the directory. A file of its own, so that backups and checks can read the log beside the node. */
const LOCK_NAME = 'events.lock'
const FORMAT_VERSION = 2
/** "ESDB" in ASCII: tells our file from any other SQLite database. */
const APPLICATION_ID = 0x45534442
/** Events of a few hundred bytes to a few kilobytes leave little of such a page unused. */
const PAGE_BYTES = 16_384
const PAGE_CACHE_KIB = 32 * 1024
/** 32 MiB of log between checkpoints: each page that is hot in between is copied once, not thousands of times. */
const CHECKPOINT_PAGES = 2048
/** A backup or a check that comes or goes may hold a lock for a moment. */
export const BUSY_TIMEOUT_MS = 5000

/** The log's file in a node's directory. */
export function logFile(dataDir: string): string {
  return join(dataDir, FILE_NAME)
}

/**
 * Opens the log's file in `dataDir` (made if missing), or a log in memory when it is undefined. The directory is held
 * until closed: a second opening, also by another process, fails at once.
 *
 * @throws EventStoreOpenError when the log is in use, is not ours, is damaged, or comes from a later version.
 */
export function openDatabase(dataDir: string | undefined): DatabaseSync {
  if (dataDir !== undefined) mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const path = dataDir === undefined ? ':memory:' : logFile(dataDir)
  return open(path, { timeout: 0 }, (database) => {
    // A new file takes the size with its first transaction, which is the lock's.
    database.exec(`PRAGMA page_size = ${PAGE_BYTES}`)
    if (dataDir !== undefined) lock(database, join(dataDir, LOCK_NAME))
    configure(database)
    migrate(database, path)
  })
}

/**
 * Opens a log's file to read what is committed in it, also beside the node that uses it.
 *
 * @throws EventStoreOpenError when there is none, it is not ours, or is not of this version's format.
 */
export function openForReading(path: string): DatabaseSync {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile())
    throw new EventStoreOpenError(`there is no event store at ${path}`)
  return open(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS }, (database) => {
    refuseForeign(database, path)
    const version = pragma(database, 'user_version')
    if (version !== FORMAT_VERSION) throw otherFormat(path, version)
  })
}

function open(
  path: string,
  options: { readOnly?: boolean; timeout: number },
  prepare: (database: DatabaseSync) => void,
): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, options)
    prepare(database)
    return database
  } catch (error) {
    database?.close()
    throw openingError(error, path)
  }
}

/** Takes the lock for as long as the connection lives: the kernel lets go of it however the process ends. */
function lock(database: DatabaseSync, path: string): void {
  database.prepare('ATTACH ? AS lock').run(path)
  database.exec('PRAGMA lock.locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;')
}

function configure(database: DatabaseSync): void {
  database.exec(`
    PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS};
    PRAGMA main.journal_mode = WAL;
    PRAGMA main.synchronous = FULL;
    PRAGMA main.secure_delete = ON;
    PRAGMA main.cache_size = -${PAGE_CACHE_KIB};
    PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
    PRAGMA temp_store = MEMORY;
  `)
}

function migrate(database: DatabaseSync, path: string): void {
  const version = pragma(database, 'user_version')
  if (version === 0 && pragma(database, 'application_id') === 0) {
    database.exec(`
      BEGIN;
      PRAGMA application_id = ${APPLICATION_ID};
      PRAGMA user_version = ${FORMAT_VERSION};
      ${SCHEMA}
      COMMIT;
    `)
    return
  }
  refuseForeign(database, path)
  if (version === 1) database.exec(`BEGIN; ${ADD_CHECKSUMS} PRAGMA user_version = 2; COMMIT;`)
  else if (version !== FORMAT_VERSION) throw otherFormat(path, version)
}

function refuseForeign(database: DatabaseSync, path: string): void {
  if (pragma(database, 'application_id') !== APPLICATION_ID) {
    throw new EventStoreOpenError(`${path} is a database of something else`)
  }
}

function otherFormat(path: string, version: unknown): EventStoreOpenError {
  return new EventStoreOpenError(
    `${path} has format ${version}; this version reads ${FORMAT_VERSION}, to which a starting node brings an older one`,
  )
}

/** Format 2. Events that were written before it have none. */
const ADD_CHECKSUMS = 'ALTER TABLE event ADD COLUMN checksum INTEGER;'

/*
 * Layout. `first_revision`: events below it have been removed, so the next revision is
 * max(first_revision, greatest stored revision + 1), and an append touches no row but its own.
 * Stream names and event types are stored once. `created` counts milliseconds since the Unix epoch. Small columns
 * come before the large ones, so that reading them never follows an overflow chain. `checksum`: see checksum.ts.
 */
const SCHEMA = `
  CREATE TABLE stream (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    first_revision INTEGER NOT NULL DEFAULT 0,
    truncate_before INTEGER NOT NULL DEFAULT 0,
    max_count INTEGER,
    max_age_seconds INTEGER,
    tombstoned INTEGER NOT NULL DEFAULT 0
  );
  CREATE TABLE event_type (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
  CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    created INTEGER NOT NULL,
    type INTEGER NOT NULL,
    is_json INTEGER NOT NULL,
    id BLOB NOT NULL,
    checksum INTEGER,
    metadata BLOB,
    data BLOB
  );
  CREATE UNIQUE INDEX event_by_revision ON event (stream, revision);
  CREATE TABLE log (last_position INTEGER NOT NULL);
  INSERT INTO log VALUES (0);
  CREATE TABLE probe (filler BLOB);
`

function pragma(database: DatabaseSync, name: string): unknown {
  return database.prepare(`PRAGMA ${name}`).get()?.[name]
}

/** What an error means for somebody who wanted to open the log. */
export function openingError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof EventStoreOpenError) return error
  if (/database is locked/.test(error.message)) {
    return new EventStoreOpenError(`${path} is in use by another event store node`, { cause: error })
  }
  if (/malformed|not a database/.test(error.message)) {
    return new EventStoreOpenError(
      `${path} is damaged: ${error.message}. "event-store fsck" says where; a backup can be restored`,
      { cause: error },
    )
  }
  return new EventStoreOpenError(`${path} cannot be opened: ${error.message}`, { cause: error })
}
