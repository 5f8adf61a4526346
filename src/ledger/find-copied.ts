import type { Logger } from 'pino'
import type { LedgerPosition } from './event.ts'
import type { EventStore } from './event-store.ts'
import type { FindCopied } from './ledger.ts'
import { genesisStream, ledgerPrefixes } from './streams.ts'
import { followed } from './subscription.ts'
import { copyOf, mostGenesisEvents } from './tenure.ts'

const batchSize = 5_000

interface Surroundings {
  readonly log: Pick<Logger, 'warn' | 'info'>
  readonly signal: AbortSignal
  readonly closing: AbortSignal
  readonly timeoutMs: number
}

/** As `FindCopied`, in a given store. */
export async function findCopied(
  store: EventStore,
  { index, eventId }: Parameters<FindCopied>[0],
  { log, signal, closing, timeoutMs }: Surroundings,
): Promise<LedgerPosition | undefined> {
  const genesis = await store.readStream(genesisStream, { maxCount: mostGenesisEvents }, timeoutMs)
  if (!copyOf(genesis)) return undefined
  log.info(
    { index },
    'the ledger was copied to this event store: looking for the place of its event by index',
  )
  const reading = new AbortController()
  const ended = AbortSignal.any([signal, reading.signal])
  let next = 0
  try {
    for await (const { events, caughtUp } of followed(
      store,
      ledgerPrefixes,
      { after: undefined, batchSize, signal: ended },
      log,
      closing,
    )) {
      const event = events[index - next]
      if (event) return event.id === eventId ? event.position : undefined
      next += events.length
      if (caughtUp) return undefined
    }
    signal.throwIfAborted()
    closing.throwIfAborted()
    return undefined
  } finally {
    reading.abort()
  }
}
