import type { KeyObject } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import type { StoredEvent } from './event-store.ts'
import { type DataKey, placeOfKey, type Vault, type Vaults, vaultOf } from './vault.ts'

/** The keys of incidents' text, as the codec needs them. */
export interface DataKeys {
  /** One that nothing was sealed with yet. Throws `event-store-unavailable`, `outcome-unknown`. */
  readonly take: (until: number) => Promise<DataKey>
  /** The keys with these ids. Throws `event-store-unavailable`. */
  readonly find: (ids: ReadonlySet<string>) => Promise<ReadonlyMap<string, FoundKey>>
  /** Takes in a vault that came by a subscription, so that it need not be read. */
  readonly learn: (event: StoredEvent) => void
  /** From now on these keys open nothing here, whatever a vault says. */
  readonly forget: (ids: readonly string[]) => void
  /** Removes keys that were forgotten from their vaults. Throws LedgerError; then it is to be done again. */
  readonly erase: (ids: readonly string[], until: number) => Promise<void>
  /** Makes keys ahead, so that the first incident does not wait for one. */
  readonly prepare: () => void
}

/** A key; `erased`: it is gone, as it should be; or why there is none, which is an alarm. */
export type FoundKey = KeyObject | 'erased' | { readonly missing: string }

/** Kept open and unused; twice as many, up to the most, whenever somebody had to wait for one. */
const fewestAhead = 64
const mostAhead = 2_048
const vaultsAtOnce = 4
const keptVaults = 2_000
const keptKeys = 50_000

export function openDataKeys(vaults: Vaults, log: Pick<Logger, 'warn'>, timeoutMs: number): DataKeys {
  const ahead: DataKey[] = []
  const known = new LRUCache<string, KeyObject>({ max: keptKeys })
  const kept = new LRUCache<string, Vault>({ max: keptVaults })
  const erased = new Set<string>()
  const reading = new Map<string, Promise<Vault | undefined>>()
  let wanted = fewestAhead
  let making: Promise<void> | undefined

  return {
    take: async (until) => {
      for (;;) {
        const taken = ahead.pop()
        if (ahead.length <= wanted / 2) void makeAhead().catch(() => {})
        if (taken) {
          known.set(taken.id, taken.key)
          return taken
        }
        wanted = Math.min(2 * wanted, mostAhead)
        if (until <= performance.now())
          ahead.push(...(await vaults.create(until))) // which says that no time was left
        else await makeAhead()
      }
    },
    find: async (ids) => {
      const found = new Map<string, FoundKey>()
      const unknown: string[] = []
      for (const id of ids) {
        const key = erased.has(id) ? 'erased' : known.get(id)
        if (key === undefined) unknown.push(id)
        else found.set(id, key)
      }
      if (unknown.length > 0) {
        await Promise.all(unknown.map(async (id) => found.set(id, await keyIn(id))))
      }
      return found
    },
    learn: (event) => {
      const vault = vaultOf(event)
      if (vault) kept.set(vault.id, vault)
    },
    forget: (ids) => {
      for (const id of ids) {
        erased.add(id)
        known.delete(id)
        kept.delete(placeOfKey(id)?.vault ?? '')
      }
    },
    erase: async (ids, until) => {
      const slots = Map.groupBy(
        ids.flatMap((id) => placeOfKey(id) ?? []),
        ({ vault }) => vault,
      )
      for (const [vault, places] of slots) {
        await vaults.erase(
          vault,
          places.map(({ slot }) => slot),
          until,
        )
      }
    },
    prepare: () => void makeAhead().catch(() => {}),
  }

  function makeAhead(): Promise<void> {
    making ??= make().finally(() => {
      making = undefined
    })
    return making
  }

  async function make(): Promise<void> {
    try {
      while (ahead.length < wanted) {
        const lacking = Math.ceil((wanted - ahead.length) / fewestAhead)
        const until = performance.now() + timeoutMs
        const creating = Array.from({ length: Math.min(lacking, vaultsAtOnce) }, () => vaults.create(until))
        for (const keys of await Promise.all(creating)) ahead.push(...keys)
      }
    } catch (error) {
      log.warn(
        { reason: error instanceof Error ? error.message : String(error) },
        'no data keys could be made',
      )
      throw error
    }
  }

  async function keyIn(id: string): Promise<FoundKey> {
    const place = placeOfKey(id)
    if (!place) return { missing: 'it names a key that is none' }
    const vault = kept.get(place.vault) ?? (await read(place.vault))
    if (!vault) return { missing: `there is no vault ${place.vault}: was the event store restored in part?` }
    const wrapped = vault.slots[place.slot]
    if (wrapped === null || wrapped === undefined || erased.has(id)) return 'erased'
    const key = vaults.unwrap(id, wrapped)
    if (!key)
      return {
        missing:
          'its key does not open under any secret that is known (LEDGER_SECRET, LEDGER_SECRET_PREVIOUS)',
      }
    known.set(id, key)
    return key
  }

  /** Once, for all who ask meanwhile. */
  async function read(vault: string): Promise<Vault | undefined> {
    const asked = reading.get(vault) ?? vaults.read(vault)
    reading.set(vault, asked)
    try {
      const found = await asked
      if (found) kept.set(vault, found)
      return found
    } finally {
      reading.delete(vault)
    }
  }
}
