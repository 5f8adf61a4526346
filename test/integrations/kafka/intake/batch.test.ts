import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import type { EachBatchPayload } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { batchHandler, type Handle } from '../../../../src/integrations/kafka/intake/batch.ts'

interface Item {
  readonly offset: number
  readonly line: string | undefined
}

/** A batch as kafkajs gives it, of one record for each line, and what the handler tells kafkajs. */
function batchOf(lines: readonly (string | undefined)[], heartbeat = async () => {}) {
  const resolved: number[] = []
  const messages = lines.map((line, n) => ({ offset: String(n), line }))
  const payload = {
    batch: { partition: 0, messages },
    heartbeat,
    isRunning: () => true,
    resolveOffset: (offset: string) => resolved.push(Number(offset)),
    commitOffsetsIfNecessary: async () => {},
  } as unknown as EachBatchPayload // what the handler uses of it
  const run = (handle: Handle<Item>, stop = new AbortController().signal) => {
    const steps = {
      read: ({ offset }: { offset: string }) => ({ offset: Number(offset), line: lines[Number(offset)] }),
      lineOf: ({ line }: Item) => line,
      handle,
    }
    return batchHandler(steps, stop)(payload)
  }
  return { run, resolved }
}

describe('A batch', () => {
  test('is handled whole, each line in its order and one at a time, many lines at once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.option(fc.constantFrom('a', 'b', 'c'), { nil: undefined }), fc.nat(4)), {
          maxLength: 100,
        }),
        async (records) => {
          const { run, resolved } = batchOf(records.map(([line]) => line))
          const handled: Item[] = []
          const underWay = new Map<string | undefined, number>()
          await run(async (item) => {
            const atOnce = (underWay.get(item.line) ?? 0) + 1
            underWay.set(item.line, atOnce)
            if (item.line !== undefined) expect(atOnce).toBe(1)
            for (let turns = records[item.offset]?.[1] ?? 0; turns > 0; turns -= 1) await setImmediate()
            underWay.set(item.line, (underWay.get(item.line) ?? 0) - 1)
            handled.push(item)
          })
          expect(handled.map(({ offset }) => offset).toSorted((a, b) => a - b)).toEqual([...records.keys()])
          for (const line of ['a', 'b', 'c']) {
            const offsets = handled.filter((item) => item.line === line).map(({ offset }) => offset)
            expect(offsets).toEqual(offsets.toSorted((a, b) => a - b))
          }
          expect(resolved.at(-1)).toBe(records.length > 0 ? records.length - 1 : undefined)
        },
      ),
      { numRuns: 50 },
    )
  })

  test('counts as done up to the first record that is not, and keeps its place in the group meanwhile', async () => {
    const { promise: beaten, resolve: beat } = Promise.withResolvers<void>()
    const { run, resolved } = batchOf(['a', 'b', 'c', 'd'], async () => beat())
    await run(async ({ offset }) => {
      if (offset !== 2) return
      await beaten
      expect(resolved).toEqual([1])
    })
    expect(resolved).toEqual([1, 3])
  })

  test('that is left at a stop has what was under way done, and the rest not begun', async () => {
    const stop = new AbortController()
    const { run, resolved } = batchOf(['a', 'a', 'b'])
    const begun: number[] = []
    await run(async ({ offset }) => {
      begun.push(offset)
      stop.abort()
      await setImmediate()
    }, stop.signal)
    expect(begun).toEqual([0])
    expect(resolved).toEqual([0])
  })

  test('is left when the group has given the partition to another, and kafkajs is told so', async () => {
    const rebalancing = new Error('the group is rebalancing')
    const { run, resolved } = batchOf(['a', 'a'], async () => {
      throw rebalancing
    })
    const waiting: Handle<Item> = (_item, signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('given up'))))
    await expect(run(waiting)).rejects.toBe(rebalancing)
    expect(resolved).toEqual([])
  })
})
