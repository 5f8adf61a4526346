import type { Logger } from 'pino'
import { openAccessKeyRegister } from './access-key-register.ts'
import type { ChainLowerBound } from './chain.ts'
import { openCheckpoints } from './checkpoints.ts'
import { openCodec } from './codec.ts'
import { connectEventStore } from './connection.ts'
import { openDataKeys } from './data-keys.ts'
import { openEntries } from './entries.ts'
import { LedgerError } from './errors.ts'
import type { EventStore } from './event-store.ts'
import { findCopied } from './find-copied.ts'
import { beginOrResume, noteRotation } from './genesis.ts'
import { guardedStore } from './guarded-store.ts'
import { openIncidentHistory } from './history.ts'
import { openImport } from './import.ts'
import { openIncidentCommands } from './incident-commands.ts'
import { openIncidentJournal } from './incident-journal.ts'
import { openKeyring, type Secrets } from './keyring.ts'
import type { Ledger } from './ledger.ts'
import { openPinBoard } from './pin.ts'
import { openRewrapping } from './rewrap.ts'
import { sharedFollow } from './shared-tail.ts'
import { genesisStream, ledgerAndVaultPrefixes } from './streams.ts'
import { openSubscriptions } from './subscription.ts'
import type { Tenure } from './tenure.ts'
import { openVaults } from './vault.ts'

export interface LedgerOptions {
  /** LEDGER_SECRET and the ones before it. */
  readonly secret: Secrets
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  /** From a command's arrival to the last moment at which it may be appended; bounds reads, too. Default 5,000. */
  readonly appendDeadlineMs?: number
  /** Milliseconds since the Unix epoch. Default: this machine's. */
  readonly clock?: () => number
  /** From the read model, to find the end of a long chain sooner. */
  readonly chainLowerBound?: ChainLowerBound
  /** What a new ledger is called for ever. Default: a name that is like no other. */
  readonly origin?: string
  /** Whether to make keys for new incidents ahead, for who is going to write many. */
  readonly keysAhead?: boolean
}

const defaultAppendDeadlineMs = 5_000
/** What clocks of several processes may differ by. */
const clockSkewMs = 1_000

/**
 * The ledger in the event store at `eventStoreUrl`, a connection string such as `esdb://127.0.0.1:2113?tls=false`; begun if there is none.
 * @throws Error of one line where the store holds something else, or the string is none; LedgerError where it does not answer.
 */
export async function openLedger(
  options: LedgerOptions & { readonly eventStoreUrl: string },
): Promise<Ledger> {
  const store = connectEventStore(options.eventStoreUrl)
  try {
    return await openLedgerOn(store, options)
  } catch (error) {
    await store.close()
    throw error
  }
}

/** The ledger in a given store, which it closes with itself. */
export async function openLedgerOn(unguarded: EventStore, options: LedgerOptions): Promise<Ledger> {
  const guarded = guardedStore(unguarded)
  const store = { ...guarded, follow: sharedFollow(guarded.follow, ledgerAndVaultPrefixes) }
  const { log, appendDeadlineMs = defaultAppendDeadlineMs, clock = Date.now, chainLowerBound } = options
  const keyring = openKeyring(options.secret)
  const vaults = openVaults(store, keyring, appendDeadlineMs)
  const keys = openDataKeys(vaults, log, appendDeadlineMs)
  const codec = openCodec({ keys, log })
  const journal = openIncidentJournal(store, codec, keys, log, appendDeadlineMs)
  const pins = openPinBoard(store, appendDeadlineMs)
  const provisionalMs = appendDeadlineMs + clockSkewMs
  const terms = { keyring, clock, appendDeadlineMs }
  const genesis = await beginOrResume(unguarded, keyring, options.origin, appendDeadlineMs)
  tellTenure(await store.tenure(appendDeadlineMs), log)
  const closing = new AbortController()
  const rewrapKeys = openRewrapping(store, vaults, log, closing.signal, appendDeadlineMs)
  if (options.keysAhead) keys.prepare()

  return {
    incidents: openIncidentCommands({ ...terms, journal, pins, chainLowerBound }),
    importIncident: openImport(journal, terms),
    history: openIncidentHistory(journal, clock, provisionalMs),
    provisionalMs,
    accessKeys: openAccessKeyRegister(store, { ...terms, log, closing: closing.signal }),
    subscribe: openSubscriptions(store, codec, keys, log, closing.signal),
    readAt: async (position) => {
      const event = await store.readAt(position, appendDeadlineMs)
      const [record] = await codec.decode(event ? [event] : [])
      return record
    },
    entries: openEntries(store, log, closing.signal, appendDeadlineMs),
    checkpoints: openCheckpoints(store, genesis.origin, appendDeadlineMs),
    findCopied: (place, signal) =>
      findCopied(store, place, { log, signal, closing: closing.signal, timeoutMs: appendDeadlineMs }),
    keyring,
    completeErasure: (keyIds) => keys.erase(keyIds, performance.now() + appendDeadlineMs),
    rewrapKeys: async (options) => {
      const rewritten = await rewrapKeys(options)
      await noteRotation(store, keyring, genesis, appendDeadlineMs)
      return rewritten
    },
    health: async (timeoutMs) => {
      try {
        await store.readStream(genesisStream, { maxCount: 1 }, timeoutMs)
        return { ok: true }
      } catch (error) {
        return { ok: false, reason: reasonOf(error) }
      }
    },
    close: async () => {
      closing.abort()
      await store.close()
    },
  }
}

/** @throws Error of one line where what the store holds is not the ledger yet. */
function tellTenure(tenure: Tenure, log: Pick<Logger, 'warn'>): void {
  switch (tenure.state) {
    case 'open':
      return
    case 'copying':
      throw new Error(
        `the event store holds a copy of the ledger at ${tenure.from} that is not complete: run the same incident-ledger copy again, it goes on where it stopped`,
      )
    case 'given-up':
      throw new Error(
        `the event store holds a copy of the ledger at ${tenure.from} that was given up: the ledger is still there`,
      )
    case 'retiring':
      log.warn(
        `the ledger is being moved to ${tenure.to}: this event store takes no commands until that is done or given up`,
      )
      return
    case 'retired':
      log.warn(
        `the ledger was moved to ${tenure.to} at ${tenure.at}: this event store takes no commands any more, so connect to that one`,
      )
      return
    default:
      tenure satisfies never
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof LedgerError && error.fault.code === 'event-store-unavailable')
    return error.fault.reason
  return error instanceof Error ? error.message : String(error)
}
