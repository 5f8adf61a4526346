import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { comparePositions, createPositionWaiters } from '../../src/projections/position-waiters.ts'

const at = (commit: bigint, prepare = commit) => ({ commit, prepare })

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('whoever waits is released by the first position that reaches theirs, and by none before', async () => {
  const someCommit = fc.bigInt({ min: 0n, max: 20n })
  await fc.assert(
    fc.asyncProperty(fc.array(someCommit), fc.array(someCommit), async (waited, announced) => {
      const waiters = createPositionWaiters()
      const released = new Set<number>()
      waited.forEach((commit, n) => {
        void waiters.wait(at(commit), 1_000).then((reached) => reached && released.add(n))
      })
      let furthest = -1n
      for (const commit of announced) {
        waiters.release(at(commit))
        if (commit > furthest) furthest = commit
        await Promise.resolve()
        await Promise.resolve()
        expect(released).toEqual(new Set(waited.keys().filter((n) => (waited[n] ?? 0n) <= furthest)))
      }
      waiters.dismiss()
    }),
  )
})

test('a thousand wait with one timer, which ends with the last of them', async () => {
  const waiters = createPositionWaiters()
  const answers = Array.from({ length: 1_000 }, (_, n) => waiters.wait(at(BigInt(n)), n < 500 ? 100 : 1_000))
  expect(vi.getTimerCount()).toBe(1)
  await vi.advanceTimersByTimeAsync(200)
  expect(await Promise.all(answers.slice(0, 500))).not.toContain(true)
  waiters.release(at(2_000n))
  expect(await Promise.all(answers.slice(500))).not.toContain(false)
  expect(vi.getTimerCount()).toBe(0)
})

test('dismissing answers everyone at once that it was in vain', async () => {
  const waiters = createPositionWaiters()
  const answer = waiters.wait(at(1n), 1_000)
  waiters.dismiss()
  expect(await answer).toBe(false)
})

test('positions are in the order of commits, then of prepares', () => {
  expect(comparePositions(at(1n, 9n), at(2n, 0n))).toBe(-1)
  expect(comparePositions(at(2n, 1n), at(2n, 0n))).toBe(1)
  expect(comparePositions(at(2n), at(2n))).toBe(0)
})
