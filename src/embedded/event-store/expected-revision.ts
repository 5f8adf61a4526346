/** What a writer says the stream must be before its write: a revision (≥ 0) or one of three named states. */
export type ExpectedRevision = number | 'any' | 'no_stream' | 'stream_exists'

/** The stream as a write finds it. `lastRevision` is −1 for a stream without events. */
export interface StreamState {
  readonly lastRevision: number
  readonly softDeleted: boolean
  readonly tombstoned: boolean
}

/** How a write may ask after events that are there already, to find out that it was made before. */
export interface StreamHistory {
  /** The revision at which this stream holds the event, if that is still remembered. */
  revisionOf(eventId: string): number | undefined
  /** The id of the stored event at a revision of this stream. */
  eventIdAt(revision: number): string | undefined
  /** Whether the stream has metadata, which is enough to exist. */
  hasMetadata(): boolean
}

export type Verdict =
  | { readonly kind: 'write' }
  | { readonly kind: 'idempotent'; readonly lastRevision: number }
  | { readonly kind: 'wrong-expected-version' }
  | { readonly kind: 'stream-deleted' }

/**
 * Decides whether a write is made, was made before, or is refused. The rules are those of EventStoreDB's
 * `IndexWriter.CheckCommit` (24.10), including that a partly known write counts as a wrong expected revision.
 */
export function judgeWrite(
  expected: ExpectedRevision,
  stream: StreamState,
  eventIds: readonly string[],
  history: StreamHistory,
): Verdict {
  if (stream.tombstoned) return streamDeleted
  if (expected === 'stream_exists') {
    if (stream.softDeleted) return streamDeleted
    if (stream.lastRevision < 0 && !history.hasMetadata()) return wrongExpectedVersion
  }
  if (expected === 'any' || expected === 'stream_exists') return judgeByMemory(eventIds, history)

  const expectedRevision = expected === 'no_stream' ? -1 : expected
  if (expectedRevision === stream.lastRevision) return write
  if (expectedRevision > stream.lastRevision) return wrongExpectedVersion
  return judgeByHistory(expected, expectedRevision, stream, eventIds, history)
}

const write: Verdict = { kind: 'write' }
const wrongExpectedVersion: Verdict = { kind: 'wrong-expected-version' }
const streamDeleted: Verdict = { kind: 'stream-deleted' }

function judgeByMemory(eventIds: readonly string[], history: StreamHistory): Verdict {
  const [first, ...others] = eventIds
  let lastRevision = first === undefined ? undefined : history.revisionOf(first)
  if (lastRevision === undefined) return write
  for (const id of others) {
    lastRevision = history.revisionOf(id)
    if (lastRevision === undefined) return wrongExpectedVersion
  }
  return { kind: 'idempotent', lastRevision }
}

function judgeByHistory(
  expected: ExpectedRevision,
  expectedRevision: number,
  stream: StreamState,
  eventIds: readonly string[],
  history: StreamHistory,
): Verdict {
  let revision = expectedRevision
  for (const id of eventIds) {
    revision += 1
    if (history.revisionOf(id) === revision || history.eventIdAt(revision) === id) continue
    const isFirst = revision === expectedRevision + 1
    return isFirst && expected === 'no_stream' && stream.softDeleted ? write : wrongExpectedVersion
  }
  return eventIds.length === 0 ? wrongExpectedVersion : { kind: 'idempotent', lastRevision: revision }
}
