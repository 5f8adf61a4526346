import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Raised on opening a log that cannot be used; the message is for a person. */
export class EventStoreOpenError extends Error {
  override readonly name = 'EventStoreOpenError'
}

const FILE_NAME = 'events.sqlite'
const FORMAT_VERSION = 1
/** "ESDB" in ASCII: tells our file from any other SQLite database. */
const APPLICATION_ID = 0x45534442
/** Events of a few hundred bytes to a few kilobytes leave little of such a page unused. */
const PAGE_BYTES = 16_384
const PAGE_CACHE_KIB = 32 * 1024
/** 32 MiB of log between checkpoints: each page that is hot in between is copied once, not thousands of times. */
const CHECKPOINT_PAGES = 2048

/**
 * Opens the log's file in `dataDir` (made if missing), or a log in memory when it is undefined. The file is held
 * exclusively until closed: a second opening, also by another process, fails at once.
 *
 * @throws EventStoreOpenError when the file is in use, is not ours, or comes from a later version.
 */
export function openDatabase(dataDir: string | undefined): DatabaseSync {
  const path = dataDir === undefined ? ':memory:' : join(dataDir, FILE_NAME)
  if (dataDir !== undefined) mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const database = openFile(path)
  try {
    configure(database)
    migrate(database, path)
    return database
  } catch (error) {
    database.close()
    throw explain(error, path)
  }
}

function openFile(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: 0 })
  } catch (error) {
    throw explain(error, path)
  }
}

function configure(database: DatabaseSync): void {
  database.exec(`
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA page_size = ${PAGE_BYTES};
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    PRAGMA cache_size = -${PAGE_CACHE_KIB};
    PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
    PRAGMA temp_store = MEMORY;
    BEGIN EXCLUSIVE;
    COMMIT;
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
  if (pragma(database, 'application_id') !== APPLICATION_ID) {
    throw new EventStoreOpenError(`${path} is a database of something else`)
  }
  if (version !== FORMAT_VERSION) {
    throw new EventStoreOpenError(`${path} has format ${version}; this version reads ${FORMAT_VERSION}`)
  }
}

/*
 * Layout. `first_revision`: events below it have been removed, so the next revision is
 * max(first_revision, greatest stored revision + 1), and an append touches no row but its own.
 * Stream names and event types are stored once. `created` counts milliseconds since the Unix epoch. Small columns
 * come before the large ones, so that reading them never follows an overflow chain.
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

function explain(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof EventStoreOpenError) return error
  if (/database is locked/.test(error.message)) {
    return new EventStoreOpenError(`${path} is in use by another event store node`, { cause: error })
  }
  return new EventStoreOpenError(`${path} cannot be opened: ${error.message}`, { cause: error })
}
