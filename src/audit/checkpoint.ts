/** What a note of the log says: its origin, how many events it holds, and the root over them (C2SP tlog-checkpoint). */
import { type Hash, hashBytes } from './merkle.ts'
import { NoteError, readNote } from './signed-note.ts'

export interface TreeCheckpoint {
  /** The log's name, fixed at genesis. */
  readonly origin: string
  /** Leaves. */
  readonly size: number
  readonly root: Hash
  /** Lines of other makers, without meaning here. */
  readonly extensions: readonly string[]
}

/** The text of a checkpoint, as it is signed. */
export function checkpointText({ origin, size, root, extensions }: TreeCheckpoint): string {
  return [origin, String(size), root.toString('base64'), ...extensions, ''].join('\n')
}

/** @throws NoteError where the text is no checkpoint. */
export function readCheckpoint(text: string): TreeCheckpoint {
  const [origin, size, root, ...rest] = text.split('\n')
  const hash = Buffer.from(root ?? '', 'base64')
  if (
    !origin ||
    !/^(0|[1-9]\d{0,15})$/.test(size ?? '') ||
    hash.length !== hashBytes ||
    hash.toString('base64') !== root
  ) {
    throw new NoteError('a checkpoint reads origin, size and root, a line each: this note does not')
  }
  if (!Number.isSafeInteger(Number(size))) throw new NoteError('the size of a checkpoint is out of range')
  if (rest.pop() !== '' || rest.includes('')) throw new NoteError('a checkpoint has no empty lines')
  return { origin, size: Number(size), root: hash, extensions: rest }
}

/** How many events a note is over; null of what stands among notes and is none. */
export function sizeOfNote(note: string): number | null {
  try {
    return readCheckpoint(readNote(note).text).size
  } catch (error) {
    if (error instanceof NoteError) return null
    throw error
  }
}
