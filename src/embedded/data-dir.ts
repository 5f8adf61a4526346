import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'

const attachmentSchema = z.object({
  pid: z.int().positive(),
  eventStoreUrl: z.string(),
  databaseUrl: z.string(),
  startedAt: z.iso.datetime(),
})

/** How to reach the servers of the process that owns a data directory. Holds passwords. */
export type Attachment = z.infer<typeof attachmentSchema>

export type DataDirClaim =
  | {
      readonly kind: 'owner'
      /** Tells other processes how to attach. */
      publish(info: Attachment): Promise<void>
      /** Takes that back and lets another process own the directory. */
      release(): Promise<void>
    }
  | { readonly kind: 'attached'; readonly info: Attachment }

const attachPatienceMs = 60_000
const pollIntervalMs = 50

/**
 * Makes this process the owner of `dataDir` (made if absent, mode 0700), or tells how to attach to the process that is.
 * There is one owner at a time; its lock is the operating system's and ends with the process, however that ends. The owner
 * publishes `attach.json`, mode 0600, once its servers answer: until then other claimants wait, and one of them becomes the
 * owner if it dies meanwhile. An owner keeps its claim until it releases it.
 *
 * Throws an Error of one line when an owner does not publish within `patienceMs`, or when the directory cannot be used.
 */
export async function claimDataDir(dataDir: string, patienceMs = attachPatienceMs): Promise<DataDirClaim> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const attachFile = join(dataDir, 'attach.json')
  const deadline = Date.now() + patienceMs
  for (;;) {
    const lock = takeLock(join(dataDir, 'lock'))
    if (lock) return own(dataDir, attachFile, lock)
    const info = await readAttachment(attachFile)
    if (info) return { kind: 'attached', info }
    if (Date.now() > deadline) {
      throw new Error(
        `${dataDir} is in use by a process that does not say how to attach to it: wait until it has started, or stop it`,
      )
    }
    await delay(pollIntervalMs)
  }
}

async function own(dataDir: string, attachFile: string, lock: DatabaseSync): Promise<DataDirClaim> {
  // An owner that was killed could not take it back.
  await rm(attachFile, { force: true })
  return {
    kind: 'owner',
    async publish(info) {
      const draft = join(dataDir, 'attach.json.new')
      await rm(draft, { force: true })
      await using file = await open(draft, 'wx', 0o600)
      await file.writeFile(`${JSON.stringify(info, undefined, 2)}\n`)
      await rename(draft, attachFile)
    },
    async release() {
      await rm(attachFile, { force: true })
      if (lock.isOpen) lock.close()
    },
  }
}

/** An exclusive transaction on an empty SQLite database: a lock of the operating system's, which Node itself does not offer. */
function takeLock(path: string): DatabaseSync | undefined {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path)
    database.exec('BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database?.close()
    if (isBusy(error)) return undefined
    throw new Error(`${path} cannot be locked: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** SQLITE_BUSY, https://www.sqlite.org/rescode.html */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 5
}

/** A file whose writer is gone is one that a killed owner left and the next one is about to remove. */
async function readAttachment(path: string): Promise<Attachment | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const { success, data: info } = attachmentSchema.safeParse(JSON.parse(text))
  if (!success) {
    throw new Error(`${path} is of another version, which is using the directory: stop that first`)
  }
  return isAlive(info.pid) ? info : undefined
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
