import { readFile } from 'node:fs/promises'
import { type BundleVerdict, type SealedField, verifyBundle } from '../../audit/bundle.ts'
import { isObject } from '../../audit/log-entry.ts'
import type { NoteVerifier } from '../../audit/signed-note.ts'
import { type ExitCode, exitCode } from '../exit-code.ts'
import { type Terminal, writeJson } from '../terminal.ts'
import { keyName, writeFindings } from './verdict.ts'

export interface VerifyBundleOptions {
  readonly file: string
  readonly verifiers: readonly NoteVerifier[]
  readonly terminal: Terminal
  readonly json: boolean
}

const notExcluded =
  'Later events of this incident are not excluded: a bundle proves what it holds, and not that nothing came after it.'

/** Verifies a bundle offline, and prints what it proves. @throws Error where the file cannot be read. */
export async function verifyBundleFile(options: VerifyBundleOptions): Promise<ExitCode> {
  const { file, verifiers, terminal, json } = options
  const verdict = verifyBundle(await readFile(file, 'utf8'), verifiers)
  const isVerified = verdict.findings.length === 0
  if (json) writeJson(terminal, answerOf(verdict))
  else if (isVerified) writeProved(verdict, terminal)
  else writeFindings(`${file} is NOT what the log holds:`, verdict.findings, terminal)
  return isVerified ? exitCode.done : exitCode.notVerified
}

function answerOf({ incidentId, checkpoint, signedBy, events, findings }: BundleVerdict) {
  const verified = findings.length === 0
  return {
    type: 'bundle',
    verified,
    incidentId: incidentId ?? null,
    checkpoint: checkpoint && {
      origin: checkpoint.origin,
      size: checkpoint.size,
      root: checkpoint.root.toString('base64'),
    },
    signedBy: signedBy.map(keyName),
    laterEventsExcluded: false,
    events: verified ? events : [],
    findings,
  }
}

function writeProved({ incidentId, checkpoint, signedBy, events }: BundleVerdict, { out }: Terminal): void {
  out.write(
    `Incident ${incidentId}: ${events.length} events, revisions 0 to ${events.length - 1}, as the log holds them\n`,
  )
  out.write(
    `  log     ${checkpoint?.origin}, ${checkpoint?.size} events, root ${checkpoint?.root.toString('base64')}\n`,
  )
  out.write(`  signed  by ${signedBy.map(keyName).join(' and ')}\n`)
  for (const { index, revision, type, data, metadata, fields } of events) {
    const { at, actor } = isObject(metadata) ? metadata : {}
    out.write(`\nrevision ${revision}  event ${index}  ${type}  ${at}  by ${actorText(actor)}\n`)
    for (const [name, value] of Object.entries(isObject(data) ? data : {}))
      out.write(`  ${name}: ${printable(value)}\n`)
    for (const [name, field] of Object.entries(fields)) out.write(`  ${name}: ${fieldText(field)}\n`)
  }
  out.write(`\n${notExcluded}\n`)
}

function fieldText(field: SealedField): string {
  switch (field.state) {
    case 'disclosed':
      return printable(field.value)
    case 'sealed':
      return '(sealed: its text is not in the bundle)'
    case 'erased':
      return '(erased: its key is gone)'
  }
}

function actorText(actor: unknown): string {
  return isObject(actor) ? `${actor.kind} ${printable(actor.id)}` : '?'
}

/** As JSON, so that no text of a caller can move the cursor or pretend to be another line. */
function printable(value: unknown): string {
  return JSON.stringify(value) ?? 'null'
}
