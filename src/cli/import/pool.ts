/**
 * Works on up to `limit` items at once, taking them in order. Takes no more once the signal aborts or a piece of work fails, and
 * is done when all that was taken is.
 * @throws what the first piece of work to fail threw, or the source.
 */
export async function eachOf<Item>(
  items: AsyncIterable<Item>,
  limit: number,
  signal: AbortSignal,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const atWork = new Set<Promise<void>>()
  const failures: unknown[] = []
  try {
    for await (const item of items) {
      if (signal.aborted || failures.length > 0) break
      const piece = work(item)
        .catch((error: unknown) => void failures.push(error))
        .finally(() => atWork.delete(piece))
      atWork.add(piece)
      if (atWork.size >= limit) await Promise.race(atWork)
    }
  } finally {
    await Promise.all(atWork)
  }
  if (failures.length > 0) throw failures[0]
}
