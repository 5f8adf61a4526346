import type { Finding } from '../../audit/finding.ts'
import type { NoteVerifier } from '../../audit/signed-note.ts'
import type { Terminal } from '../terminal.ts'

export function writeFindings(title: string, findings: readonly Finding[], { out }: Terminal): void {
  out.write(`${title}\n`)
  for (const { code, message } of findings) out.write(`  ${code}: ${printable(message)}\n`)
}

/** A key as signature lines and people name it. */
export function keyName({ name, keyId }: NoteVerifier): string {
  return `${name}+${keyId.toString('hex')}`
}

/** Without control characters: names of streams and logs come from elsewhere. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '\uFFFD')
}
