import { randomUUID } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { createEventReader, type EventReader, isSoftDeleted } from './event-reader.ts'
import { createEventWriter } from './event-writer.ts'
import { describedBy, END_OF_STREAM, metastreamOf, type ProposedEvent, type RecordedEvent } from './events.ts'
import { type ExpectedRevision, judgeWrite, type StreamHistory } from './expected-revision.ts'
import { createGroupCommit } from './group-commit.ts'
import { createLiveTail, type LiveTail } from './live-tail.ts'
import { createRecentIds } from './recent-ids.ts'
import { createStreamHeads, type StreamHead } from './stream-heads.ts'
import { parseRetention, recreateMetadata, softDeleteMetadata } from './stream-metadata.ts'

/** What became of a write. `currentRevision` is null for a stream without events. */
export type WriteOutcome =
  | { readonly kind: 'written'; readonly lastRevision: number; readonly position: number | undefined }
  | {
      readonly kind: 'wrong-expected-version'
      readonly expected: ExpectedRevision
      readonly currentRevision: number | null
    }
  | { readonly kind: 'stream-deleted' }
  /** Nothing was written, and nothing will be until the store has recovered or a new node has started. */
  | { readonly kind: 'refused'; readonly reason: 'closing' | 'storage'; readonly message: string }

/** The durable log of all streams: every answer that says "written" comes after the fsync. */
export interface EventLog {
  readonly reader: EventReader
  readonly tail: LiveTail
  append(
    streamName: string,
    expected: ExpectedRevision,
    events: readonly ProposedEvent[],
  ): Promise<WriteOutcome>
  /** Deletes a stream's events; a later append may recreate it, its revisions going on. */
  deleteStream(streamName: string, expected: ExpectedRevision): Promise<WriteOutcome>
  /** Deletes a stream for good. */
  tombstone(streamName: string, expected: ExpectedRevision): Promise<WriteOutcome>
  /** Commits what is pending and refuses what comes after; reads go on. */
  finishWrites(): void
  /** Finishes writes, folds the write-ahead log into the file and closes it. */
  close(): void
}

/**
 * Makes a log of an open database, which the log then owns. Writes are judged against pending heads as they arrive and
 * committed together at the end of the turn of the event loop: many writes, one transaction, one fsync. Whatever is
 * not plainly a new write (a conflict, a repeat) is judged on committed state, after committing what is pending,
 * so that no answer depends on a write that may still fail.
 */
export function createEventLog(database: DatabaseSync): EventLog {
  const reader = createEventReader(database)
  const writer = createEventWriter(database)
  const tail = createLiveTail(reader.lastPosition())
  const heads = createStreamHeads(database, reader)
  const recentIds = createRecentIds(database)

  const group = createGroupCommit(writer, tail, heads, recentIds)

  function write(
    streamName: string,
    expected: ExpectedRevision,
    eventIds: readonly string[],
    stage: (head: StreamHead) => RecordedEvent | undefined,
  ): Promise<WriteOutcome> {
    let head = heads.get(streamName)
    let verdict = judge(head, expected, eventIds)
    const needsCommitted = verdict.kind !== 'write' || isSoftDeleted(revivedBy(head))
    if (needsCommitted && group.hasPending) {
      group.commit()
      const refusal = group.refusal()
      if (refusal !== undefined) return Promise.resolve(refusal)
      head = heads.get(streamName)
      verdict = judge(head, expected, eventIds)
    }
    switch (verdict.kind) {
      case 'write': {
        const last = stageWhole(() => stage(head))
        const lastRevision = last?.revision ?? head.lastRevision
        return group.settle({ kind: 'written', lastRevision, position: last?.position })
      }
      case 'idempotent': {
        const { lastRevision } = verdict
        const [stored] = reader.streamForwards(head.id ?? 0, lastRevision, lastRevision)
        return Promise.resolve({ kind: 'written', lastRevision, position: stored?.position })
      }
      case 'wrong-expected-version':
        return Promise.resolve(wrongExpectedVersion(head, expected))
      case 'stream-deleted':
        return Promise.resolve({ kind: 'stream-deleted' })
    }
  }

  /** Refuses, and says why, what cannot be read of a damaged file or on a failing disk; the rest goes on. */
  function attempt(work: () => Promise<WriteOutcome>): Promise<WriteOutcome> {
    const refusal = group.refusal()
    if (refusal !== undefined) return Promise.resolve(refusal)
    try {
      return work()
    } catch (error) {
      const message = `the log cannot be read: ${error instanceof Error ? error.message : String(error)}`
      return Promise.resolve({ kind: 'refused', reason: 'storage', message })
    }
  }

  function stageWhole(stage: () => RecordedEvent | undefined): RecordedEvent | undefined {
    try {
      return stage()
    } catch (error) {
      group.abandon(error)
      throw error
    }
  }

  function judge(head: StreamHead, expected: ExpectedRevision, eventIds: readonly string[]) {
    const { id } = head
    const history: StreamHistory = {
      revisionOf: (eventId) => (id === undefined ? undefined : recentIds.revisionIn(id, eventId)),
      eventIdAt: (revision) =>
        id === undefined ? undefined : reader.streamForwards(id, revision, revision)[0]?.id,
      hasMetadata: () => heads.get(metastreamOf(head.name)).lastRevision >= 0,
    }
    const state = {
      lastRevision: head.lastRevision,
      softDeleted: isSoftDeleted(head),
      tombstoned: isTombstoned(head),
    }
    return judgeWrite(expected, state, eventIds, history)
  }

  /** A stream's metadata go with it. */
  function isTombstoned(head: StreamHead): boolean {
    const described = describedBy(head.name)
    return head.tombstoned || (described !== undefined && heads.get(described).tombstoned)
  }

  /** The stream that a write brings back if it is soft-deleted: new metadata do so, too. */
  function revivedBy(head: StreamHead): StreamHead {
    const described = describedBy(head.name)
    return described === undefined ? head : heads.get(described)
  }

  function stageAppend(head: StreamHead, proposed: readonly ProposedEvent[]): RecordedEvent | undefined {
    const revived = revivedBy(head)
    const wasSoftDeleted = isSoftDeleted(revived)
    const firstRevision = revived.lastRevision + 1
    const last = stageEvents(head, proposed)
    if (wasSoftDeleted) stageRecreation(revived, firstRevision, revived === head ? undefined : last?.data)
    return last
  }

  function stageEvents(head: StreamHead, proposed: readonly ProposedEvent[]): RecordedEvent | undefined {
    const createdMs = Date.now()
    let last: RecordedEvent | undefined
    for (const event of proposed) last = stageEvent(head, event, head.lastRevision + 1, createdMs)
    const described = describedBy(head.name)
    if (last !== undefined && described !== undefined) {
      heads.retain(heads.get(described), parseRetention(last))
    }
    return last
  }

  function stageEvent(
    head: StreamHead,
    event: ProposedEvent,
    revision: number,
    createdMs: number,
  ): RecordedEvent {
    recentIds.remember(heads.advance(head, revision), event.id, revision)
    return group.stage(event, { streamName: head.name, revision, createdMs })
  }

  /** Writing to a soft-deleted stream, or setting its metadata, brings it back: its metadata then say where it starts. */
  function stageRecreation(head: StreamHead, revision: number, newest: Uint8Array | undefined): void {
    const metastream = heads.get(metastreamOf(head.name))
    const [stored] = reader.streamBackwards(metastream.id ?? 0, metastream.lastRevision, 0, 1)
    const metadata = recreateMetadata(newest ?? stored?.data ?? softDeleteMetadata, revision)
    if (metadata !== undefined) stageEvents(metastream, [systemEvent('$metadata', metadata)])
  }

  return {
    reader,
    tail,
    append: (streamName, expected, proposed) =>
      attempt(() =>
        write(
          streamName,
          expected,
          proposed.map((event) => event.id),
          (head) => stageAppend(head, proposed),
        ),
      ),
    deleteStream: (streamName, expected) =>
      attempt(() => {
        const head = heads.get(streamName)
        const metastream = heads.get(metastreamOf(streamName))
        if (!isTombstoned(head) && head.lastRevision < 0 && metastream.lastRevision < 0) {
          return Promise.resolve(wrongExpectedVersion(head, expected))
        }
        return write(streamName, expected, [randomUUID()], () =>
          stageEvents(heads.get(metastreamOf(streamName)), [systemEvent('$metadata', softDeleteMetadata)]),
        )
      }),
    tombstone: (streamName, expected) =>
      attempt(() =>
        write(streamName, expected, [randomUUID()], (head) => {
          heads.bury(head)
          return stageEvent(head, systemEvent('$streamDeleted', new Uint8Array(0)), END_OF_STREAM, Date.now())
        }),
      ),
    finishWrites: group.finish,
    close() {
      group.finish()
      writer.close()
    },
  }
}

function wrongExpectedVersion(head: StreamHead, expected: ExpectedRevision): WriteOutcome {
  const currentRevision = head.lastRevision < 0 ? null : head.lastRevision
  return { kind: 'wrong-expected-version', expected, currentRevision }
}

function systemEvent(type: string, data: Uint8Array): ProposedEvent {
  return { id: randomUUID(), type, isJson: data.length > 0, data, metadata: new Uint8Array(0) }
}
