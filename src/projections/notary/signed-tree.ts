import { readCheckpoint, type TreeCheckpoint } from '../../audit/checkpoint.ts'
import { NoteError, type NoteVerifier, readNote, verifiedSignatures } from '../../audit/signed-note.ts'
import type { Checkpoints, KeptNote } from '../../ledger/checkpoints.ts'
import { ProjectorStopped } from '../projector-stopped.ts'

/** A tree that a note vouches for. */
export interface SignedTree extends Pick<TreeCheckpoint, 'size' | 'root'> {
  readonly note: string
  /** Where the note is, for the operator. */
  readonly place: string
}

/** So many at a time: each is a few hundred bytes. */
const notesAtOnce = 1_000

/**
 * What the note says, if it is one of this ledger and signed under a known key.
 * @throws ProjectorStopped
 */
export function signedTree(
  note: string,
  place: string,
  origin: string,
  verifiers: readonly NoteVerifier[],
): SignedTree {
  try {
    const read = readNote(note)
    const checkpoint = readCheckpoint(read.text)
    if (checkpoint.origin !== origin) throw new NoteError(`it is of another ledger, ${checkpoint.origin}`)
    if (verifiedSignatures(read, verifiers).length === 0) {
      const signers = read.signatures.map(({ name, keyId }) => `${name}+${keyId.toString('hex')}`).join(', ')
      throw new NoteError(
        `it is signed under another key, ${signers}. Set LEDGER_SIGNING_KEY to the key of this ledger; if that was rotated, give the one before it in LEDGER_SIGNING_KEY_PREVIOUS`,
      )
    }
    return { size: checkpoint.size, root: checkpoint.root, note, place }
  } catch (error) {
    if (!(error instanceof NoteError)) throw error
    throw new ProjectorStopped(`${place} is not to be signed over: ${error.message}`)
  }
}

/** The notes that were ever signed, from one on, to be held against a tree that grows past them. */
export interface NotesToMeet {
  /** Of the next one; how many went before it. */
  readonly count: () => number
  readonly next: () => SignedTree | undefined
  /** @throws ProjectorStopped where the one after it is no note over more events. */
  readonly advance: () => Promise<void>
  /** That a new one was added after the last. */
  readonly add: (tree: SignedTree) => void
}

/** @throws ProjectorStopped */
export async function openNotesToMeet(
  checkpoints: Checkpoints,
  verifiers: readonly NoteVerifier[],
  from: number,
): Promise<NotesToMeet> {
  let page: readonly KeptNote[] = []
  let at = 0
  let count = from
  let last: SignedTree | undefined
  let next = await read()

  async function read(): Promise<SignedTree | undefined> {
    if (at === page.length) {
      page = await checkpoints.read(count, notesAtOnce)
      at = 0
    }
    const kept = page[at]
    if (kept === undefined) return undefined
    if (kept.revision !== count)
      throw new ProjectorStopped(`${placeOfNote(count)} is missing from the event store`)
    const tree = signedTree(kept.note, placeOfNote(kept.revision), checkpoints.origin, verifiers)
    if (last && tree.size <= last.size) {
      throw new ProjectorStopped(
        `${tree.place} is over ${tree.size} events, no more than the ${last.size} of the one before it: it was altered`,
      )
    }
    return tree
  }

  return {
    count: () => count,
    next: () => next,
    async advance() {
      last = next
      at += 1
      count += 1
      next = await read()
    },
    add(tree) {
      last = tree
      count += 1
    },
  }
}

export function placeOfNote(revision: number): string {
  return `The signed note with revision ${revision} of the stream ledger-checkpoints`
}

/** @throws ProjectorStopped where the tree is not the one that the note vouches for. */
export function requireMet(signed: SignedTree, root: Buffer, whose: string): void {
  if (root.equals(signed.root)) return
  throw new ProjectorStopped(
    `${signed.place} vouches for another tree of ${signed.size} events than ${whose}: root ${signed.root.toString('base64')} was signed, ` +
      `${root.toString('base64')} was found`,
  )
}
