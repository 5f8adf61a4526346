/** All the notes that a log keeps, in its order, held against a scan of it. */
import type { Finding } from './finding.ts'
import type { LogScan } from './log-scan.ts'
import type { NoteVerifier } from './signed-note.ts'
import { isTrusted, type TrustedNote, trustedNote } from './trusted-note.ts'

export interface ListedNote {
  /** Null of what the log keeps among its notes and is none. */
  readonly size: number | null
  readonly note: string
  /** What it is called in sentences; otherwise, by its size. */
  readonly name?: string
}

interface SizedNote extends ListedNote {
  readonly size: number
}

/**
 * Hands the scan each note before it is past it. Those below where an interrupted scan goes on were met before; those above `newest.size`
 * were signed since the verification began.
 */
export function noteList(
  pages: AsyncIterable<readonly ListedNote[]>,
  verifiers: readonly NoteVerifier[],
  scan: Pick<LogScan, 'size' | 'expect' | 'report'>,
  newest: { readonly origin: string; readonly size: number },
): { readonly upTo: (size: number) => Promise<void> } {
  const begun = scan.size()
  const notes = flattened(pages)
  let next: SizedNote | undefined
  let place = -1
  let isEnd = false
  let after = -1

  return {
    async upTo(size: number) {
      while (!isEnd) {
        next ??= await following()
        if (next === undefined || next.size > size) return
        take(next)
        next = undefined
      }
    },
  }

  async function following() {
    for (;;) {
      const { value, done } = await notes.next()
      if (done || value === undefined) break
      const { size, name } = value
      place += 1
      if (size !== null) return { ...value, size }
      const which = name ?? `number ${place} in the log's list of notes`
      scan.report({ code: 'malformed', message: `${which} is no note` })
    }
    isEnd = true
    return undefined
  }

  function take({ size, note, name = `the note with ${size} events` }: SizedNote) {
    if (size < after) {
      const message = `${name} is listed after the one with ${after}: the log's list of notes is not in order`
      return scan.report({ code: 'malformed', message })
    }
    after = size
    if (size > newest.size) return
    const read = trustedNote(note, verifiers, name)
    if (!isTrusted(read)) return scan.report({ ...read, index: Math.max(size - 1, 0) })
    if (read.checkpoint.origin !== newest.origin) return scan.report(otherLog(read, newest.origin, name))
    if (read.checkpoint.size !== size) {
      return scan.report({
        code: 'malformed',
        message: `${name}, as the log lists it, is one with ${read.checkpoint.size}`,
      })
    }
    if (size >= scan.size()) scan.expect(read, name)
    else if (size > begun) {
      scan.report({
        code: 'missing',
        message: `${name} could not be compared: the log ended before its list did`,
      })
    }
  }
}

export function otherLog({ checkpoint }: TrustedNote, origin: string, name: string): Finding {
  return {
    code: 'fork',
    message: `${name} is of the log ${checkpoint.origin}, but this one is ${origin}`,
  }
}

async function* flattened<Item>(pages: AsyncIterable<readonly Item[]>): AsyncGenerator<Item, undefined> {
  for await (const page of pages) yield* page
  return undefined
}
