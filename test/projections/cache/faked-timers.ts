/** In place of node:timers/promises: on the global timers, which a test can fake. */
export function setTimeout(ms: number, value?: unknown, { signal }: { signal?: AbortSignal } = {}) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    signal?.addEventListener('abort', () => reject(signal.reason))
    globalThis.setTimeout(resolve, ms, value)
  })
}
