import { LedgerError } from './errors.ts'

/** Lines of commands, one for each incident, so that those of this process do not fight over its next revision. */
export interface CommandQueue {
  /**
   * Runs the task once those before it under the same key have ended. Throws `contended` where the line is full, or where its
   * turn comes after `until` (of `performance.now()`); then the task was not begun.
   */
  readonly run: <T>(key: string, until: number, task: () => Promise<T>) => Promise<T>
}

interface Line {
  length: number
  tail: Promise<void>
}

export function openCommandQueue(longestLine: number): CommandQueue {
  const lines = new Map<string, Line>()
  return {
    run: async (key, until, task) => {
      const line = lines.get(key) ?? { length: 0, tail: Promise.resolve() }
      if (line.length >= longestLine) throw new LedgerError({ code: 'contended' })
      lines.set(key, line)
      const turn = line.tail
      const { promise: done, resolve: leave } = Promise.withResolvers<void>()
      line.tail = done
      line.length += 1
      try {
        await turn
        if (performance.now() > until) throw new LedgerError({ code: 'contended' })
        return await task()
      } finally {
        line.length -= 1
        if (line.length === 0) lines.delete(key)
        leave()
      }
    },
  }
}
