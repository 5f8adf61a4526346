import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkpointText, readCheckpoint } from '../../src/audit/checkpoint.ts'
import { hashOfLeaf } from '../../src/audit/merkle.ts'
import {
  NoteError,
  noteOf,
  noteSigner,
  noteVerifier,
  readNote,
  signNote,
  verifiedSignatures,
} from '../../src/audit/signed-note.ts'
import { readTlogProof, tlogProofOf } from '../../src/audit/tlog-proof.ts'
import { trustedNote } from '../../src/audit/trusted-note.ts'

const signer = noteSigner('ledger.example/incidents', Buffer.alloc(32, 7))
const text = 'ledger.example/incidents\n3\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n'

test('a note of another maker verifies under its key', () => {
  const verifier = noteVerifier('PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW')
  const note = readNote(
    'If you think cryptography is the answer to your problem,\n' +
      "then you don't know what your problem is.\n\n" +
      '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n',
  )
  expect(verifiedSignatures(note, [verifier])).toEqual([verifier])
})

test('what is signed verifies under the key that is published, and after no altered bit', () => {
  const note = signNote(text, [signer])
  const verifier = noteVerifier(signer.encoded)
  expect(verifiedSignatures(readNote(note), [verifier])).toEqual([verifier])
  fc.assert(
    fc.property(fc.nat({ max: text.length - 2 }), (at) => {
      const altered = `${note.slice(0, at)}${note[at] === 'a' ? 'b' : 'a'}${note.slice(at + 1)}`
      expect(() => verifiedSignatures(readNote(altered), [verifier])).toThrow(
        expect.objectContaining({ name: 'NoteError', code: 'signature' }),
      )
    }),
  )
})

test('signatures by unknown keys are passed over, up to 64 of them', () => {
  const others = Array.from({ length: 63 }, (_, at) => noteSigner(`witness${at}`, randomBytes(32)))
  const note = readNote(signNote(text, [...others, signer]))
  expect(verifiedSignatures(note, [signer])).toEqual([signer])
  expect(verifiedSignatures(note, [noteSigner('ledger.example/incidents', Buffer.alloc(32, 8))])).toEqual([])
  expect(() => readNote(signNote(text, [...others, signer, signer]))).toThrow('at most 64')
})

test('a signature of another kind and length is carried through', () => {
  const cosignature = { name: 'witness', keyId: Buffer.alloc(4, 1), signature: Buffer.alloc(72, 2) }
  const note = noteOf({ text, signatures: [cosignature] })
  expect(readNote(note).signatures).toEqual([cosignature])
})

test.each([
  ['nothing', ''],
  ['no signature', 'text\n'],
  ['no newline at its end', `${text}\n— name AAAAAAAA`],
  ['a hyphen for the dash', `${text}\n- name AAAAAAAA\n`],
  ['a control character', `te\tt\n\n— name AAAAAAAA\n`],
])('a note with %s is refused', (_, note) => {
  expect(() => readNote(note)).toThrow(NoteError)
})

test.each([
  ['prose', 'a key'],
  ['another hash', signer.encoded.replace(/\+[0-9a-f]{8}\+/, '+00000000+')],
  ['another algorithm', 'name+00000000+AhpcAhpcAhpcAhpcAhpcAhpcAhpcAhpcAhpcAhpcAhpc'],
])('a verifier key with %s is refused', (_, key) => {
  expect(() => noteVerifier(key)).toThrow(NoteError)
})

test('a checkpoint is read back as it was written', () => {
  const checkpoint = {
    origin: 'ledger.example/incidents',
    size: 4_724,
    root: hashOfLeaf(Buffer.of()),
    extensions: ['one', 'two'],
  }
  expect(readCheckpoint(checkpointText(checkpoint))).toEqual(checkpoint)
  expect(checkpointText({ ...checkpoint, extensions: [] })).toBe(
    'ledger.example/incidents\n4724\nbjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n',
  )
})

test.each([
  '\n3\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n',
  'origin\n03\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n',
  'origin\n-3\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n',
  'origin\n3\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQy==\n',
  'origin\n3\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=',
  'origin\n9999999999999999\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n',
])('%j is no checkpoint', (wrong) => {
  expect(() => readCheckpoint(wrong)).toThrow(NoteError)
})

test('a proof file is read back as it was written', () => {
  const proof = [hashOfLeaf(Buffer.of(1)), hashOfLeaf(Buffer.of(2))]
  const file = { index: 2, proof, note: signNote(text, [signer]), extra: undefined }
  expect(readTlogProof(tlogProofOf(file))).toEqual(file)
  expect(readTlogProof(tlogProofOf({ ...file, extra: Buffer.from('of the maker') })).extra).toEqual(
    Buffer.from('of the maker'),
  )
  expect(tlogProofOf(file)).toMatch(
    /^c2sp\.org\/tlog-proof@v1\nindex 2\n[A-Za-z0-9+/]{43}=\n[A-Za-z0-9+/]{43}=\n\nledger\.example/,
  )
  expect(() => readTlogProof(tlogProofOf(file).replace('index 2', 'index two'))).toThrow(NoteError)
  expect(() => readTlogProof('another file')).toThrow(NoteError)
})

test('what is wrong with a note is told by a code', () => {
  const rootless = signNote('ledger.example/incidents\n3\nno root\n', [signer])
  expect(trustedNote(rootless, [signer])).toMatchObject({ code: 'malformed' })
  const altered = signNote(text, [signer]).replace('\n3\n', '\n4\n')
  expect(trustedNote(altered, [signer])).toMatchObject({ code: 'signature' })
})
