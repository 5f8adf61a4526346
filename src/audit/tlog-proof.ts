/** A proof as a file that an auditor keeps (C2SP tlog-proof): the leaf's index, its inclusion proof and the signed checkpoint. */
import { type Hash, hashBytes } from './merkle.ts'
import { NoteError } from './signed-note.ts'

const header = 'c2sp.org/tlog-proof@v1'

export interface TlogProof {
  readonly index: number
  readonly proof: readonly Hash[]
  /** The signed checkpoint, as the log gave it. */
  readonly note: string
  /** Data of other makers, in base64 in the file. */
  readonly extra?: Buffer | undefined
}

export function tlogProofOf({ index, proof, note, extra }: TlogProof): string {
  const lines = [
    header,
    ...(extra === undefined ? [] : [`extra ${extra.toString('base64')}`]),
    `index ${index}`,
    ...proof.map((hash) => hash.toString('base64')),
  ]
  return `${lines.join('\n')}\n\n${note}`
}

/** @throws NoteError where the file is no proof. */
export function readTlogProof(file: string): TlogProof {
  const end = file.indexOf('\n\n')
  const [first, ...rest] = file.slice(0, Math.max(end, 0)).split('\n')
  if (first !== header) throw new NoteError(`a proof file begins with ${header}: this one does not`)
  const extra = rest[0]?.startsWith('extra ')
    ? Buffer.from(rest.shift()?.slice(6) ?? '', 'base64')
    : undefined
  const [, index] = /^index (0|[1-9]\d{0,15})$/.exec(rest.shift() ?? '') ?? []
  const proof = rest.map((line) => Buffer.from(line, 'base64'))
  if (
    index === undefined ||
    proof.some((hash, at) => hash.length !== hashBytes || hash.toString('base64') !== rest[at])
  ) {
    throw new NoteError('a proof file gives an index and then hashes of 32 bytes in base64, a line each')
  }
  return { index: Number(index), proof, note: file.slice(end + 2), extra }
}
