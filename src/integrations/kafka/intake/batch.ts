import { setTimeout as delay } from 'node:timers/promises'
import type { EachBatchPayload } from 'kafkajs'

/** Does what is to be done about a record, however long that takes. Rejects only once the signal is aborted. */
export type Handle<Item> = (item: Item, signal: AbortSignal) => Promise<void>

export interface BatchSteps<Item> {
  readonly read: (message: EachBatchPayload['batch']['messages'][number], partition: number) => Item
  /** Items of one line are handled one after the other; undefined: of none. */
  readonly lineOf: (item: Item) => string | undefined
  readonly handle: Handle<Item>
}

/** Records of a partition that are under way or waiting for one of their line. */
const underWayAtMost = 32
/** Well within the session's timeout, which is what a member has to be silent for to lose its partitions. */
const beatMs = 500

/**
 * A handler of batches for kafkajs: many records at once, those of one line in order. An offset counts as done once all before
 * it are, and only then is it committed. While it works, however long, the group hears that this member is alive; when
 * the partition is another member's, or the signal aborts, it finishes what is under way and leaves the rest.
 */
export function batchHandler<Item>(
  steps: BatchSteps<Item>,
  stop: AbortSignal,
): (payload: EachBatchPayload) => Promise<void> {
  return async (payload) => {
    const { batch, heartbeat, isRunning, resolveOffset, commitOffsetsIfNecessary } = payload
    const abandon = new AbortController()
    const signal = AbortSignal.any([stop, abandon.signal])
    const done = new Set<number>()
    let next = 0
    const resolveDone = () => {
      const before = next
      while (done.delete(next)) next += 1
      const last = batch.messages[next - 1]
      if (next > before && last) resolveOffset(last.offset)
    }
    const work = handleAll(batch, steps, signal, (index) => done.add(index))
    try {
      while (!(await isOver(work))) {
        resolveDone()
        if (!isRunning()) abandon.abort()
        await heartbeat()
        await commitOffsetsIfNecessary()
      }
    } finally {
      abandon.abort()
      await work
      resolveDone()
    }
  }
}

/** Resolves when all is handled or, once the signal is aborted, nothing is under way any more. */
async function handleAll<Item>(
  { messages, partition }: EachBatchPayload['batch'],
  { read, lineOf, handle }: BatchSteps<Item>,
  signal: AbortSignal,
  onDone: (index: number) => void,
): Promise<void> {
  const tails = new Map<string, Promise<void>>()
  const underWay = new Set<Promise<void>>()
  for (const [index, message] of messages.entries()) {
    while (underWay.size >= underWayAtMost) await Promise.race(underWay)
    if (signal.aborted) break
    const item = read(message, partition)
    const line = lineOf(item)
    const before = line === undefined ? undefined : tails.get(line)
    const handled = (async () => {
      await before
      if (signal.aborted) return
      try {
        await handle(item, signal)
        onDone(index)
      } catch (error) {
        if (!signal.aborted) throw error
      }
    })()
    if (line !== undefined) tails.set(line, handled)
    underWay.add(handled)
    const leave = () => underWay.delete(handled)
    handled.then(leave, leave)
  }
  await Promise.all(underWay)
}

async function isOver(work: Promise<void>): Promise<boolean> {
  const waiting = new AbortController()
  try {
    return await Promise.race([work.then(() => true), delay(beatMs, false, { signal: waiting.signal })])
  } finally {
    waiting.abort()
  }
}
