import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import { jittered } from './append.ts'
import type { Codec } from './codec.ts'
import type { LedgerPosition } from './event.ts'
import type { EventStore, StoredEvent } from './event-store.ts'
import type { Subscribe } from './ledger.ts'
import { ledgerPrefixes } from './streams.ts'

const firstPauseMs = 50
const longestPauseMs = 2_000
/** Of an event that a server has not yet given its place. */
const noPosition = 2n ** 64n - 1n

/** Subscriptions to the ledger that outlive their connections. They end when `closing` aborts, too. */
export function openSubscriptions(
  store: EventStore,
  codec: Codec,
  log: Pick<Logger, 'warn' | 'info'>,
  closing: AbortSignal,
): Subscribe {
  return async function* subscribe(options) {
    for await (const { events, caughtUp } of followed(store, ledgerPrefixes, options, log, closing)) {
      yield { records: await codec.decode(events), caughtUp }
    }
  }
}

/** As `Subscribe`, of the streams with these prefixes, and of events as they are stored. */
export async function* followed(
  store: EventStore,
  prefixes: readonly string[],
  { after, batchSize, signal, onConnection }: Parameters<Subscribe>[0],
  log: Pick<Logger, 'warn' | 'info'>,
  closing: AbortSignal,
): ReturnType<EventStore['follow']> {
  const ended = AbortSignal.any([signal, closing])
  let last = after
  let failures = 0
  while (!ended.aborted) {
    const following = store.follow({
      after: last,
      prefixes,
      batchSize,
      signal: ended,
      onConfirmed: () => {
        if (failures > 0) log.info('subscribed to the event store again')
        failures = 0
        onConnection?.(true)
      },
    })
    try {
      for await (const { events, caughtUp } of following) {
        const advanced = advancing(events, last)
        last = advanced.at(-1)?.position ?? last
        if (advanced.length > 0 || caughtUp) yield { events: advanced, caughtUp }
      }
    } catch (error) {
      failures += 1
      onConnection?.(false)
      log.warn(
        { reason: error instanceof Error ? error.message : String(error), failures },
        'lost the event store',
      )
    }
    const pauseMs = Math.min(firstPauseMs * 2 ** failures, longestPauseMs)
    if (!ended.aborted) await pause(jittered(pauseMs), undefined, { signal: ended }).catch(() => {})
  }
}

/** Those that lie beyond what went before: a server may repeat an event after a change of leader, and must not be believed. */
function advancing(
  events: readonly StoredEvent[],
  after: LedgerPosition | undefined,
): readonly StoredEvent[] {
  let last = after
  return events.filter(({ position }) => {
    const advances = position.commit !== noPosition && (!last || isBeyond(position, last))
    if (advances) last = position
    return advances
  })
}

function isBeyond(a: LedgerPosition, b: LedgerPosition): boolean {
  return a.commit > b.commit || (a.commit === b.commit && a.prepare > b.prepare)
}
