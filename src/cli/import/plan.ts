/** What an import is to do, before anything is written: the rows of a file, and the steps that they come to. */
import { v5 } from 'uuid'
import type { Instant } from '../../aggregates/incident/index.ts'
import type { Actor } from '../../ledger/event.ts'
import type { ImportStep } from '../../ledger/ledger.ts'

/** A file format that an import reads. */
export interface Format<Row extends SourceRow> {
  /**
   * The rows in the order of the file, without holding more than a few of them.
   * @throws MalformedFile where the file as a whole cannot be read on from some line.
   */
  readonly rows: (file: string) => AsyncIterable<Row | Problem>
  /** What the rows of one incident come to. Pure: the same rows give the same steps, at every run. */
  readonly plan: (rows: readonly Row[], context: PlanContext) => IncidentPlan
}

export interface SourceRow {
  /** Where the row begins, from 1. */
  readonly line: number
  /** What its incident is called in the source. */
  readonly number: string
}

export interface PlanContext {
  /** Where the incidents come from, such as `import:servicenow`. */
  readonly origin: string
  /** The person of that name in the source; undefined: the source does not say who. */
  readonly actorOf: (person: string | undefined) => Actor
  /** For what has no time of its own. */
  readonly now: Instant
}

export interface IncidentPlan {
  /** None where not a single row could be taken. */
  readonly steps: readonly PlannedStep[]
  readonly problems: readonly Problem[]
}

export type PlannedStep = ImportStep & { readonly line: number }

/**
 * not-taken: the row, or the part of it that the reason names, is not in the ledger. clamped: kept under another time. implied:
 * a change that the file leaves out, and without which it could not go on. count-differs: the source's own count says otherwise.
 */
export const problemKinds = ['not-taken', 'clamped', 'implied', 'count-differs'] as const

/** Something that a person should know about a row. */
export interface Problem {
  readonly kind: (typeof problemKinds)[number]
  readonly line: number
  readonly number: string | undefined
  readonly reason: string
}

export function isProblem(item: object): item is Problem {
  return 'kind' in item
}

const noteNamespace = 'c3a4a5e2-3d0f-4f57-9a44-6a1d7d1f2b0e'

/** The id of the note that the step of this ordinal adds: the same at every run. */
export function noteIdOf(origin: string, number: string, ordinal: number): string {
  return v5(JSON.stringify([origin, number, ordinal]), noteNamespace)
}

/** The file cannot be read on from a line: nothing of it is to be imported before it is mended. */
export class MalformedFile extends Error {
  override readonly name = 'MalformedFile'
}
