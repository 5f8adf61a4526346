/** What commands leave on record of reading the ledger or changing its keys: they pass by the service, and so by its log. */
import { randomUUID } from 'node:crypto'
import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { accountName } from './account-name.ts'

export interface AuditedCommand {
  /** Such as `keys issue`. */
  readonly command: string
  /** The names of the options that were given. Never their values, nor arguments: a reason, a name or a text may stand there. */
  readonly options: readonly string[]
}

const pinoInfo = 30

/**
 * Does what a command is for, with a line before it and a line after it in the file. The first is on the disk before anything is read; where
 * it cannot be written, nothing is.
 * @param work is told the correlation id of both lines, for the events that it appends.
 * @throws Error of one line where the file cannot be written, and what `work` throws.
 */
export async function onRecord<T>(
  file: string,
  { command, options }: AuditedCommand,
  work: (correlationId: string) => Promise<T>,
): Promise<T> {
  const correlationId = randomUUID()
  const record = { audit: true, command, options, account: accountName(), correlationId }
  await append(file, { ...record, msg: 'command' })
  const began = performance.now()
  const ended = (outcome: 'done' | 'failed') => {
    const durationMs = Math.round(performance.now() - began)
    return append(file, { ...record, outcome, durationMs, msg: 'command ended' })
  }
  try {
    const result = await work(correlationId)
    await ended('done')
    return result
  } catch (error) {
    await ended('failed')
    throw error
  }
}

/** A line as the service's log has them in JSON. */
async function append(path: string, record: object): Promise<void> {
  const line = JSON.stringify({ level: pinoInfo, time: new Date().toISOString(), ...record })
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await using file = await open(path, 'a', 0o600)
    await file.appendFile(`${line}\n`)
    await file.datasync()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`the command cannot be put on record: ${reason}`, { cause: error })
  }
}
