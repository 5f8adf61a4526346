/** A checkpoint that keys vouch for: what stands before every proof. */
import { readCheckpoint, type TreeCheckpoint } from './checkpoint.ts'
import type { Finding } from './finding.ts'
import { NoteError, type NoteVerifier, readNote, verifiedSignatures } from './signed-note.ts'

export interface TrustedNote {
  readonly checkpoint: TreeCheckpoint
  /** Those of the given keys that signed it: at least one, and of the log's own name. */
  readonly signedBy: readonly NoteVerifier[]
}

/**
 * The checkpoint of a note, or why it is not to be trusted. A key counts for the log that it is named after; others, of witnesses, are told
 * with it. `name`: what the note is called in the sentence.
 */
export function trustedNote(
  note: string,
  verifiers: readonly NoteVerifier[],
  name = 'the note',
): TrustedNote | Finding {
  try {
    const signed = readNote(note)
    const checkpoint = readCheckpoint(signed.text)
    const signedBy = verifiedSignatures(signed, verifiers)
    if (signedBy.some((verifier) => verifier.name === checkpoint.origin)) return { checkpoint, signedBy }
    const theirs = signed.signatures.map((one) => `${one.name}+${one.keyId.toString('hex')}`)
    return {
      code: 'unknown-key',
      message: `${name} of ${checkpoint.origin} with ${checkpoint.size} events is signed by no key that was given, but by ${theirs.join(', ')}`,
    }
  } catch (error) {
    if (!(error instanceof NoteError)) throw error
    return { code: error.code, message: `${name} is not to be trusted: ${error.message}` }
  }
}

export function isTrusted(read: TrustedNote | Finding): read is TrustedNote {
  return 'checkpoint' in read
}
