import {
  NoteError,
  type NoteSigner,
  type NoteVerifier,
  noteSigner,
  noteVerifier,
  signNote,
} from '../../audit/signed-note.ts'

/** With what notes are signed, and by which keys those that are there may be signed. */
export interface SigningKeys {
  /** Signs with the current key and, while a rotation is under way, with the ones before it. */
  readonly sign: (text: string) => string
  /** The current one first. */
  readonly verifiers: readonly NoteVerifier[]
  /** The same as they are given to others, a line each. */
  readonly encoded: string
}

/**
 * @param name of the ledger; each key has it.
 * @param current 32 bytes in base64url.
 * @param previous each as `current`, or, where it is to sign no more, as the verifier key that others have of it.
 * @throws NoteError where a key is none, or belongs to another ledger.
 */
export function openSigningKeys(name: string, current: string, previous: readonly string[]): SigningKeys {
  const keys = [
    signerOf(name, current),
    ...previous.map((key) => (isSeed(key) ? signerOf(name, key) : verifierOf(name, key))),
  ]
  const signers = keys.filter(isSigner)
  return {
    sign: (text) => signNote(text, signers),
    verifiers: keys,
    encoded: keys.map(({ encoded }) => `${encoded}\n`).join(''),
  }
}

/** 32 bytes in base64url. */
export function isSeed(key: string): boolean {
  return /^[A-Za-z0-9_-]{43}$/.test(key)
}

function signerOf(name: string, seed: string): NoteSigner {
  return noteSigner(name, Buffer.from(seed, 'base64url'))
}

function verifierOf(name: string, encoded: string): NoteVerifier {
  const verifier = noteVerifier(encoded)
  if (verifier.name === name) return verifier
  throw new NoteError(
    `the verifier key ${verifier.name}+… is not one of this ledger, which is called ${name}`,
  )
}

function isSigner(key: NoteVerifier | NoteSigner): key is NoteSigner {
  return 'sign' in key
}
