import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import { jittered } from './append.ts'
import { type Codec, keysErasedBy } from './codec.ts'
import type { DataKeys } from './data-keys.ts'
import { LedgerError } from './errors.ts'
import type { LedgerPosition } from './event.ts'
import type { EventStore, StoredEvent } from './event-store.ts'
import type { Subscribe } from './ledger.ts'
import { ledgerAndVaultPrefixes, vaultOfStream } from './streams.ts'

const firstPauseMs = 50
const longestPauseMs = 2_000
/** Of an event that a server has not yet given its place. */
const noPosition = 2n ** 64n - 1n

const erasures = ['IncidentPersonalDataErased']

/**
 * Subscriptions to the ledger that outlive their connections. They end when `closing` aborts, too.
 *
 * The keys that the texts need come by the same subscription. Those that were erased until it began are collected before, by a pass over
 * that type of event: so nothing that is erased is read, not even for a while, whatever vaults the store still shows. From `after` on is
 * enough: nothing is sealed with a key after its erasure. Those that are erased later are met in the order of the events.
 */
export function openSubscriptions(
  store: EventStore,
  codec: Codec,
  keys: Pick<DataKeys, 'learn' | 'forget'>,
  log: Pick<Logger, 'warn' | 'info'>,
  closing: AbortSignal,
): Subscribe {
  return async function* subscribe(options) {
    const ended = AbortSignal.any([options.signal, closing])
    await collectErasedKeys(options, ended)
    for await (const { events, caughtUp } of followed(store, ledgerAndVaultPrefixes, options, log, closing)) {
      const ofLedger: StoredEvent[] = []
      for (const event of events) {
        if (vaultOfStream(event.stream) === undefined) ofLedger.push(event)
        else keys.learn(event)
      }
      if (ofLedger.length === 0 && !caughtUp) continue
      const records = await decoded(ofLedger, ended)
      if (records === undefined) return
      yield { records, caughtUp }
    }
  }

  async function collectErasedKeys(
    { after, batchSize }: Parameters<Subscribe>[0],
    ended: AbortSignal,
  ): Promise<void> {
    const reading = new AbortController()
    const signal = AbortSignal.any([ended, reading.signal])
    const pass = followed(store, [], { after, batchSize, signal }, log, closing, erasures)
    for await (const { events, caughtUp } of pass) {
      keys.forget(events.flatMap(keysErasedBy))
      if (caughtUp) break
    }
    reading.abort()
  }

  /** Waits while a key cannot be asked for. Undefined where it is over. */
  async function decoded(events: readonly StoredEvent[], ended: AbortSignal) {
    for (let failures = 1; !ended.aborted; failures += 1) {
      try {
        return await codec.decode(events)
      } catch (error) {
        if (!(error instanceof LedgerError) || error.fault.code !== 'event-store-unavailable') throw error
        log.warn({ reason: error.fault.reason, failures }, 'a data key cannot be read')
        await paused(failures, ended)
      }
    }
    return undefined
  }
}

/** As `Subscribe`, of the streams with these prefixes (or of these types), and of events as they are stored. */
export async function* followed(
  store: EventStore,
  prefixes: readonly string[],
  { after, batchSize, signal, onConnection }: Parameters<Subscribe>[0],
  log: Pick<Logger, 'warn' | 'info'>,
  closing: AbortSignal,
  types?: readonly string[],
): ReturnType<EventStore['follow']> {
  const ended = AbortSignal.any([signal, closing])
  let last = after
  let failures = 0
  while (!ended.aborted) {
    const following = store.follow({
      after: last,
      prefixes,
      types,
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
    await paused(failures, ended)
  }
}

async function paused(failures: number, ended: AbortSignal): Promise<void> {
  const pauseMs = Math.min(firstPauseMs * 2 ** failures, longestPauseMs)
  if (!ended.aborted) await pause(jittered(pauseMs), undefined, { signal: ended }).catch(() => {})
}

/** Those that lie beyond what went before: a server may repeat an event after a change of leader, and must not be believed. */
export function advancing(
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

export function isBeyond(a: LedgerPosition, b: LedgerPosition): boolean {
  return a.commit > b.commit || (a.commit === b.commit && a.prepare > b.prepare)
}
