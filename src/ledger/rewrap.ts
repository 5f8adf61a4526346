import type { Logger } from 'pino'
import type { EventStore } from './event-store.ts'
import type { RewrapKeys } from './ledger.ts'
import { vaultOfStream, vaultPrefix } from './streams.ts'
import { followed } from './subscription.ts'
import type { Vaults } from './vault.ts'

const batchSize = 500

/** Goes over all vaults until none is left under an older secret: others may still be written under it while the first pass is under way. */
export function openRewrapping(
  store: EventStore,
  vaults: Pick<Vaults, 'rewrap'>,
  log: Pick<Logger, 'warn' | 'info'>,
  closing: AbortSignal,
  timeoutMs: number,
): RewrapKeys {
  return async ({ signal, onProgress }) => {
    let rewritten = 0
    for (;;) {
      const before = rewritten
      const reading = new AbortController()
      const options = {
        after: undefined,
        batchSize,
        signal: AbortSignal.any([signal, reading.signal]),
      }
      const seen = new Set<string>()
      for await (const { events, caughtUp } of followed(store, [vaultPrefix], options, log, closing)) {
        for (const { stream } of events) {
          const id = vaultOfStream(stream)
          if (id === undefined || seen.has(id)) continue
          seen.add(id)
          signal.throwIfAborted()
          if (!(await vaults.rewrap(id, performance.now() + timeoutMs))) continue
          rewritten += 1
          onProgress?.(rewritten)
        }
        if (caughtUp) break
      }
      reading.abort()
      signal.throwIfAborted()
      if (rewritten === before) return rewritten
    }
  }
}
