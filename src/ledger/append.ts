import { setTimeout as pause } from 'node:timers/promises'
import { LedgerError } from './errors.ts'
import type { LedgerPosition } from './event.ts'
import type { EventStore, ProposedEvent } from './event-store.ts'

/** Beyond this an attempt counts as lost, and the same events are sent again. */
const attemptTimeoutMs = 2_000
const firstPauseMs = 20
const longestPauseMs = 500
/** So many attempts that were not even sent mean that the store is away. */
const unsentAttempts = 4

/**
 * Appends the events at exactly the revision, and finds out whether it did: while that is unknown the same ids go to the same
 * revision again, which the store answers exactly, until `until` (of `performance.now()`).
 *
 * A conflict is final even after an unknown attempt: the place of these events is taken by others, so an attempt still under way
 * must fail as well.
 * @returns the position of the last event.
 * @throws LedgerError `outcome-unknown`, `event-store-unavailable`, `ledger-retired`.
 */
export async function append(
  store: EventStore,
  stream: string,
  events: readonly ProposedEvent[],
  expectedRevision: number,
  until: number,
): Promise<LedgerPosition | 'conflict'> {
  let maybeAppended = false
  for (let attempts = 1; ; attempts += 1) {
    const leftMs = until - performance.now()
    if (leftMs <= 0) throw failure(maybeAppended, 'no time was left')
    const attempt = await store.append(stream, events, expectedRevision, Math.min(leftMs, attemptTimeoutMs))
    switch (attempt.outcome) {
      case 'appended':
        return attempt.position
      case 'conflict':
        return 'conflict'
      case 'refused':
        throw failure(maybeAppended, attempt.reason)
      case 'retired':
        if (maybeAppended) throw failure(true, 'the ledger was retired')
        throw new LedgerError({ code: 'ledger-retired', to: attempt.to })
      case 'unsent':
        if (!maybeAppended && attempts >= unsentAttempts) throw failure(false, attempt.reason)
        break
      case 'unknown':
        maybeAppended = true
        break
      default:
        attempt satisfies never
    }
    await pause(jittered(Math.min(firstPauseMs * 2 ** attempts, longestPauseMs)))
  }
}

function failure(maybeAppended: boolean, reason: string): LedgerError {
  return new LedgerError(
    maybeAppended ? { code: 'outcome-unknown' } : { code: 'event-store-unavailable', reason },
  )
}

/** Between half and all of it, so that those who failed together do not come back together. */
export function jittered(ms: number): number {
  return ms * (0.5 + Math.random() / 2)
}
