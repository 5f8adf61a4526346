import type { LedgerPosition } from '../ledger/event.ts'

/** Those who wait until a position is announced. */
export interface PositionWaiters {
  /** True once `release` has met the position, false after the time or at `dismiss`. */
  readonly wait: (position: LedgerPosition, timeoutMs: number) => Promise<boolean>
  /** Everything up to and including this position is announced. */
  readonly release: (position: LedgerPosition) => void
  /** Waiting has become vain for all. */
  readonly dismiss: () => void
}

interface Waiter {
  readonly position: LedgerPosition
  readonly deadlineMs: number
  readonly resolve: (announced: boolean) => void
}

/** How late a waiter's time may end. */
const sweepIntervalMs = 25

/**
 * One list in the order of positions, and one timer however many wait. Positions are born in that order, so that a newcomer
 * belongs at or near the end.
 */
export function createPositionWaiters(): PositionWaiters {
  let waiters: Waiter[] = []
  let sweeping: NodeJS.Timeout | undefined

  return {
    wait(position, timeoutMs) {
      sweeping ??= setInterval(sweep, sweepIntervalMs)
      return new Promise((resolve) => {
        let place = waiters.length
        while (place > 0 && isAfter(waiters[place - 1], position)) place--
        waiters.splice(place, 0, { position, deadlineMs: performance.now() + timeoutMs, resolve })
      })
    },
    release(position) {
      const first = waiters.findIndex((waiter) => isAfter(waiter, position))
      const released = waiters.splice(0, first === -1 ? waiters.length : first)
      for (const waiter of released) waiter.resolve(true)
      restWhenEmpty()
    },
    dismiss() {
      for (const waiter of waiters) waiter.resolve(false)
      waiters = []
      restWhenEmpty()
    },
  }

  function sweep() {
    const now = performance.now()
    waiters = waiters.filter((waiter) => {
      if (waiter.deadlineMs > now) return true
      waiter.resolve(false)
      return false
    })
    restWhenEmpty()
  }

  function restWhenEmpty() {
    if (waiters.length > 0) return
    clearInterval(sweeping)
    sweeping = undefined
  }
}

/** -1, 0 or 1, as `a` is before, at or after `b` in $all. */
export function comparePositions(a: LedgerPosition, b: LedgerPosition): -1 | 0 | 1 {
  if (a.commit !== b.commit) return a.commit < b.commit ? -1 : 1
  if (a.prepare !== b.prepare) return a.prepare < b.prepare ? -1 : 1
  return 0
}

function isAfter(waiter: Waiter | undefined, position: LedgerPosition): boolean {
  return waiter !== undefined && comparePositions(waiter.position, position) > 0
}
