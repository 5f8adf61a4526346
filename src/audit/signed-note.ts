/**
 * Signed notes with Ed25519 (C2SP signed-note): a text, an empty line, and a line a signature. A key is public as
 * `name+hex(keyID)+base64(0x01 ‖ public key)`, so that verifiers of other makes take it as it is.
 */
import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto'

const ed25519 = 0x01
const keyIdBytes = 4
const publicKeyBytes = 32
const signatureBytes = 64
const mostSignatures = 64
const seedBytes = 32

/** RFC 8410: what stands before the 32 raw bytes in the key's DER form. */
const publicKeyDer = Buffer.from('302a300506032b6570032100', 'hex')
const privateKeyDer = Buffer.from('302e020100300506032b657004220420', 'hex')

export interface NoteVerifier {
  /** Of the log; no space and no plus sign in it. */
  readonly name: string
  /** 4 bytes. */
  readonly keyId: Buffer
  readonly verifies: (text: string, signature: Buffer) => boolean
  /** The verifier key as one line. */
  readonly encoded: string
}

export interface NoteSigner extends NoteVerifier {
  readonly sign: (text: string) => Buffer
}

export interface NoteSignature {
  readonly name: string
  readonly keyId: Buffer
  /** 64 bytes for Ed25519; other kinds of signature have other lengths, and are kept as they are. */
  readonly signature: Buffer
}

export interface SignedNote {
  /** What is signed: ends with a newline. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** A note that is none, or a key that is none, or a signature that does not hold; the message says what is wrong with it. */
export class NoteError extends Error {
  override readonly name = 'NoteError'
  readonly code: 'malformed' | 'signature'

  constructor(message: string, code: NoteError['code'] = 'malformed') {
    super(message)
    this.code = code
  }
}

/** @param seed 32 bytes, the Ed25519 private key of RFC 8032. */
export function noteSigner(name: string, seed: Buffer): NoteSigner {
  if (seed.length !== seedBytes)
    throw new NoteError(`an Ed25519 seed has ${seedBytes} bytes, not ${seed.length}`)
  const key = createPrivateKey({ key: Buffer.concat([privateKeyDer, seed]), format: 'der', type: 'pkcs8' })
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(publicKeyDer.length)
  return { ...verifierOf(name, publicKey), sign: (text) => sign(null, Buffer.from(text), key) }
}

/** Reads a verifier key, `name+hex(keyID)+base64(0x01 ‖ public key)`. @throws NoteError */
export function noteVerifier(encoded: string): NoteVerifier {
  const [, name, keyId, base64] =
    /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(encoded.trim()) ?? []
  const bytes = Buffer.from(base64 ?? '', 'base64')
  if (name === undefined || bytes.length !== 1 + publicKeyBytes) {
    throw new NoteError('a verifier key reads name+hash+key, as /ledger/key gives it: this is none')
  }
  if (bytes[0] !== ed25519) throw new NoteError(`the verifier key of ${name} is not an Ed25519 key`)
  const verifier = verifierOf(name, bytes.subarray(1))
  if (verifier.keyId.toString('hex') !== keyId) {
    throw new NoteError(`the verifier key of ${name} is damaged: its hash does not fit its key`)
  }
  return verifier
}

/** Signs a text, which must end with a newline. */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  return noteOf({ text, signatures: signers.map((signer) => ({ ...signer, signature: signer.sign(text) })) })
}

/** Writes a note with the signatures it has. */
export function noteOf({ text, signatures }: SignedNote): string {
  if (!text.endsWith('\n')) throw new NoteError('a signed text ends with a newline')
  const lines = signatures.map(
    ({ name, keyId, signature }) => `— ${name} ${Buffer.concat([keyId, signature]).toString('base64')}\n`,
  )
  return `${text}\n${lines.join('')}`
}

/** Takes a note apart; whether its signatures hold is not looked at. @throws NoteError */
export function readNote(note: string): SignedNote {
  const end = note.lastIndexOf('\n\n')
  if (end < 0 || !note.endsWith('\n')) {
    throw new NoteError(
      'a signed note is a text, an empty line and signatures, each line with a newline at its end',
    )
  }
  if (hasControl(note)) throw new NoteError('a signed note holds no control characters but newlines')
  const lines = note.slice(end + 2, -1).split('\n')
  if (lines.length > mostSignatures)
    throw new NoteError(`a signed note has at most ${mostSignatures} signatures`)
  return { text: note.slice(0, end + 1), signatures: lines.map(readSignature) }
}

/** The signatures that are by these keys and hold. Those by unknown keys are passed over; one by a known key that does not hold is refused. */
export function verifiedSignatures(note: SignedNote, verifiers: readonly NoteVerifier[]): NoteVerifier[] {
  const holding = new Set<NoteVerifier>()
  for (const { name, keyId, signature } of note.signatures) {
    const verifier = verifiers.find((known) => known.name === name && known.keyId.equals(keyId))
    if (verifier === undefined) continue
    if (!verifier.verifies(note.text, signature)) {
      throw new NoteError(
        `the signature by ${name}+${keyId.toString('hex')} does not hold: the note or it was altered`,
        'signature',
      )
    }
    holding.add(verifier)
  }
  return [...holding]
}

function verifierOf(name: string, publicKey: Buffer): NoteVerifier {
  if (!/^[^\s+]+$/.test(name)) throw new NoteError('the name of a key has no space and no plus sign')
  const typed = Buffer.concat([Buffer.of(ed25519), publicKey])
  const keyId = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), typed]), 'buffer').subarray(
    0,
    keyIdBytes,
  )
  let key: KeyObject | undefined
  return {
    name,
    keyId,
    encoded: `${name}+${keyId.toString('hex')}+${typed.toString('base64')}`,
    verifies(text, signature) {
      key ??= createPublicKey({ key: Buffer.concat([publicKeyDer, publicKey]), format: 'der', type: 'spki' })
      return signature.length === signatureBytes && verify(null, Buffer.from(text), key, signature)
    },
  }
}

function readSignature(line: string): NoteSignature {
  const [, name, base64] = /^— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/.exec(line) ?? []
  const bytes = Buffer.from(base64 ?? '', 'base64')
  // One signature has one form: bits that base64 leaves over would be a place for what nobody signed.
  if (name === undefined || bytes.length <= keyIdBytes || bytes.toString('base64') !== base64) {
    throw new NoteError(
      'a signature line reads «— name base64», with an em dash: this note has one that does not',
    )
  }
  return { name, keyId: bytes.subarray(0, keyIdBytes), signature: bytes.subarray(keyIdBytes) }
}

function hasControl(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code < 0x20 && code !== 0x0a) return true
  }
  return false
}
