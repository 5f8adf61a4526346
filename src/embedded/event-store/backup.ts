import { constants, existsSync } from 'node:fs'
import { copyFile, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { logFile, openForReading } from './database.ts'
import { checkLog } from './fsck.ts'

/** Raised when a log cannot be backed up or restored; the message is for a person. */
export class BackupError extends Error {
  override readonly name = 'BackupError'
}

export interface CopiedLog {
  readonly bytes: number
  readonly events: number
}

/**
 * Copies the log in `dataDir` into one file, as it stands at one moment, also while a node writes to it. The copy is
 * checked before it takes its name.
 *
 * @throws BackupError when there is a file already, or the copy has faults.
 * @throws EventStoreOpenError when there is no log.
 */
export async function backUpLog(dataDir: string, target: string): Promise<CopiedLog> {
  refuseExisting(target, 'a backup')
  return putInPlace(target, async (partial) => {
    using source = openForReading(logFile(dataDir))
    // An open read holds the moment: else every write of the node would make the copy begin again.
    source.exec('BEGIN')
    source.prepare('SELECT count(*) FROM stream').get()
    await backup(source, partial)
    // The file alone is the backup: no write-ahead log beside it.
    using copy = new DatabaseSync(partial)
    copy.exec('PRAGMA journal_mode = DELETE')
  })
}

/**
 * Copies a backup to where a node will find it.
 *
 * @throws BackupError when there is a log already, which is never overwritten, or the backup has faults.
 * @throws EventStoreOpenError when the file is no log.
 */
export async function restoreLog(dataDir: string, source: string): Promise<CopiedLog> {
  const target = logFile(dataDir)
  refuseExisting(target, 'an event store')
  openForReading(source).close()
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  return putInPlace(target, (partial) => copyFile(source, partial, constants.COPYFILE_FICLONE))
}

function refuseExisting(path: string, what: string): void {
  if (existsSync(path)) {
    throw new BackupError(`there is ${what} already at ${path}: name another place, or move it away`)
  }
}

/** Writes beside the target, checks, makes durable, and only then gives the file its name. */
async function putInPlace(target: string, write: (partial: string) => Promise<void>): Promise<CopiedLog> {
  const partial = `${target}.partial`
  await rm(partial, { force: true })
  try {
    await write(partial)
    const events = check(partial)
    await flush(partial)
    const { size } = await stat(partial)
    await rename(partial, target)
    await flush(dirname(target))
    return { bytes: size, events }
  } finally {
    await rm(partial, { force: true })
  }
}

/** Answers how many events there are. */
function check(path: string): number {
  const results = [...checkLog(path)]
  const [fault] = results.flatMap(({ faults }) => faults)
  if (fault !== undefined) throw new BackupError(`the copy has faults: ${fault}`)
  return results.at(-1)?.checked ?? 0
}

async function flush(path: string): Promise<void> {
  await using file = await open(path)
  await file.sync()
}
