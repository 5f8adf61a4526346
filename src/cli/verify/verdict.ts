import type { Finding } from '../../audit/finding.ts'
import type { LogVerdict } from '../../audit/log-verification.ts'
import type { NoteVerifier } from '../../audit/signed-note.ts'
import { type ExitCode, exitCode } from '../exit-code.ts'
import { type Terminal, writeJson, writeTable } from '../terminal.ts'

export interface VerdictTelling {
  readonly type: 'log' | 'store'
  /** Of what was verified, at the beginning of a sentence. */
  readonly name: string
  /** All that was found to be as it was signed. */
  readonly what: string
  /** Otherwise the keys are those that the log names itself. */
  readonly isGivenKeys: boolean
  /** What more there is to say, a line each. */
  readonly remarks?: readonly string[]
  readonly terminal: Terminal
  readonly json: boolean
}

/** Tells whether a whole log is what was signed. */
export function tellLogVerdict(
  { note, events, streams, findings }: LogVerdict,
  { type, name, what, isGivenKeys, remarks = [], terminal, json }: VerdictTelling,
): ExitCode {
  const isVerified = findings.length === 0
  const code = isVerified ? exitCode.done : exitCode.notVerified
  const checkpoint = note?.checkpoint
  const signedBy = (note?.signedBy ?? []).map(keyName)
  const root = checkpoint?.root.toString('base64')
  if (json) {
    writeJson(terminal, {
      type,
      verified: isVerified,
      checkpoint: checkpoint && { origin: checkpoint.origin, size: checkpoint.size, root },
      signedBy,
      keysGiven: isGivenKeys,
      events,
      streams,
      findings,
    })
    return code
  }
  if (isVerified) {
    terminal.out.write(`${name} is the one that was signed: ${what}\n`)
    writeTable(terminal, [
      ['log', checkpoint?.origin],
      ['events', events],
      ['streams', streams],
      ['root', root],
      ['signed by', signedBy.join(' and ')],
    ])
  } else writeFindings(`${name} is NOT what was signed:`, findings, terminal)
  for (const remark of remarks) terminal.out.write(`${remark}\n`)
  if (!isGivenKeys) {
    terminal.out.write(
      'No --key was given, so the keys are those that the log itself names: it could have signed another history for others.\n',
    )
  }
  return code
}

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
