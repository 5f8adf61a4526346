/** The newest note, kept where no rebuild touches it: in Postgres, for all processes, and in a file of who signs. */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type pg from 'pg'
import { sql } from '../sql.ts'

export interface NewestNote {
  readonly size: number
  readonly note: string
  /** A line each, the current one first. */
  readonly verifierKeys: string
}

export async function readNewestNote(client: pg.ClientBase | pg.Pool): Promise<NewestNote | undefined> {
  const { rows } = await client.query<{ size: string; note: string; verifier_keys: string }>({
    name: 'newest note',
    text: sql('queries/newest_note'),
  })
  const [row] = rows
  return row && { size: Number(row.size), note: row.note, verifierKeys: row.verifier_keys }
}

export async function keepNewestNote(
  client: pg.ClientBase,
  { size, note, verifierKeys }: NewestNote,
): Promise<void> {
  await client.query(sql('queries/keep_newest_note'), [size, note, verifierKeys])
}

/** Undefined where there is no such file. */
export async function readNoteFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Wholly there, or as it was before; on the disk when it resolves. */
export async function writeNoteFile(path: string, note: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  {
    await using file = await open(draft, 'wx', 0o600)
    await file.writeFile(note)
    await file.datasync()
  }
  await rename(draft, path)
}
