/** What an auditor has kept of a log from before: notes, and bundles, whose entries name an event that is not there any more. */
import { readBundle, verifyBundle } from './bundle.ts'
import type { LogScan } from './log-scan.ts'
import { otherLog } from './note-list.ts'
import type { NoteVerifier } from './signed-note.ts'
import { isTrusted, type TrustedNote, trustedNote } from './trusted-note.ts'

/**
 * Has the scan meet what was kept; what is not to be trusted itself is reported.
 * @param origin of the log.
 * @returns the notes that it has to go on from.
 */
export function expectKnown(
  texts: readonly string[],
  verifiers: readonly NoteVerifier[],
  scan: Pick<LogScan, 'size' | 'expect' | 'expectEntry' | 'report'>,
  origin: string,
): readonly TrustedNote[] {
  return texts.flatMap((text, place) => {
    const number = texts.length > 1 ? ` ${place + 1}` : ''
    const isBundle = text.trimStart().startsWith('{')
    const whole = `the known ${isBundle ? 'bundle' : 'note'}${number}`
    const name = isBundle ? `the note of ${whole}` : whole
    const bundle = isBundle ? readBundle(text) : undefined
    const faults = isBundle ? verifyBundle(text, verifiers).findings : []
    const note = trustedNote(bundle && 'note' in bundle ? bundle.note : text, verifiers, name)
    if (faults.length > 0 || (bundle && 'code' in bundle)) {
      for (const fault of faults)
        scan.report({ ...fault, message: `${whole} is not to be trusted: ${fault.message}` })
    } else if (!isTrusted(note)) {
      scan.report(note)
    } else if (note.checkpoint.origin !== origin) {
      scan.report(otherLog(note, origin, name))
    } else {
      for (const { index, entry } of bundle?.events ?? []) scan.expectEntry(index, Buffer.from(entry), whole)
      if (note.checkpoint.size >= scan.size()) scan.expect(note, name)
      return [note]
    }
    return []
  })
}
