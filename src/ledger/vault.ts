/**
 * Vaults: the data keys of incidents, wrapped under LEDGER_SECRET, 64 to a stream `vault-<id>` that keeps its last event only. A key is called
 * `<vault>.<slot>`. Who erases a key writes the vault anew without it; the event store then forgets the version before.
 */
import { createSecretKey, type KeyObject, randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { append, jittered } from './append.ts'
import { LedgerError } from './errors.ts'
import type { EventStore, StoredEvent } from './event-store.ts'
import type { Keyring } from './ledger.ts'
import { dataKeyBytes } from './seal.ts'
import { metadataStream, vaultOfStream, vaultStream } from './streams.ts'

/** A key for the text of one incident. */
export interface DataKey {
  readonly id: string
  readonly key: KeyObject
}

/** As it is stored: a wrapped key for each slot, null where it was erased. */
export interface Vault {
  readonly id: string
  readonly slots: readonly (string | null)[]
}

export interface Vaults {
  /** A new vault, with its keys. Throws `outcome-unknown`, `event-store-unavailable`. */
  readonly create: (until: number) => Promise<readonly DataKey[]>
  /** As the store has it now; undefined where there is none. Throws `event-store-unavailable`. */
  readonly read: (id: string) => Promise<Vault | undefined>
  /** The key in a slot; undefined where it does not open under any secret that is known. */
  readonly unwrap: (keyId: string, wrapped: string) => KeyObject | undefined
  /** Writes the vault without these keys, which are then gone for good. Those that are gone already are no matter. Throws LedgerError. */
  readonly erase: (id: string, slots: readonly number[], until: number) => Promise<void>
  /** Wraps its keys under the current secret; false where they were already. Throws LedgerError, and an Error where one does not open. */
  readonly rewrap: (id: string, until: number) => Promise<boolean>
}

const keysPerVault = 64
const vaultType = 'DataKeysWrapped'
const metadataType = '$metadata'
const purpose = 'data-key'
const schemaVersion = 1
const mostAttempts = 20
const conflictPauseMs = 10
/** One is left; more are there only while a server has not yet dropped the ones before. */
const mostVersions = 1_000

const stored = z.object({ keys: z.array(z.string().nullable()).length(keysPerVault) })

export function openVaults(
  store: EventStore,
  keyring: Pick<Keyring, 'wrap' | 'unwrap' | 'isCurrent'>,
  readTimeoutMs: number,
): Vaults {
  return {
    create: async (until) => {
      const id = randomUUID()
      const random = randomBytes(keysPerVault * dataKeyBytes)
      const secrets = Array.from({ length: keysPerVault }, (_, slot) =>
        random.subarray(slot * dataKeyBytes, (slot + 1) * dataKeyBytes),
      )
      const keepsLast = {
        id: randomUUID(),
        type: metadataType,
        data: { $maxCount: 1 },
        metadata: {},
      }
      await append(store, metadataStream(vaultStream(id)), [keepsLast], -1, until)
      const keys = secrets.map((secret, slot) => keyring.wrap(purpose, keyIdOf(id, slot), secret))
      await append(store, vaultStream(id), [versionOf(keys)], -1, until)
      return secrets.map((secret, slot) => ({ id: keyIdOf(id, slot), key: createSecretKey(secret) }))
    },
    read: async (id) => (await last(id))?.vault,
    unwrap: (keyId, wrapped) => {
      const secret = keyring.unwrap(purpose, keyId, wrapped)
      return secret && createSecretKey(secret)
    },
    erase: async (id, slots, until) => {
      await rewrite(id, until, (vault) =>
        slots.some((slot) => vault.slots[slot] !== null)
          ? vault.slots.map((wrapped, slot) => (slots.includes(slot) ? null : wrapped))
          : undefined,
      )
    },
    rewrap: (id, until) =>
      rewrite(id, until, (vault) =>
        vault.slots.every((wrapped) => wrapped === null || keyring.isCurrent(wrapped))
          ? undefined
          : vault.slots.map((wrapped, slot) => wrapped && wrappedAnew(keyIdOf(id, slot), wrapped)),
      ),
  }

  function wrappedAnew(keyId: string, wrapped: string): string {
    const secret = keyring.unwrap(purpose, keyId, wrapped)
    if (secret) return keyring.wrap(purpose, keyId, secret)
    throw new Error(
      `the data key ${keyId} does not open under any secret that is known: give the older secrets in LEDGER_SECRET_PREVIOUS`,
    )
  }

  async function last(id: string): Promise<{ vault: Vault; revision: number } | undefined> {
    const versions = await store.readStream(vaultStream(id), { maxCount: mostVersions }, readTimeoutMs)
    const newest = versions.at(-1)
    if (!newest) return undefined
    const vault = vaultOf(newest)
    if (vault) return { vault, revision: newest.revision }
    throw new LedgerError({ code: 'history-unreadable', stream: newest.stream, revision: newest.revision })
  }

  /** False where there is nothing to change. */
  async function rewrite(
    id: string,
    until: number,
    change: (vault: Vault) => readonly (string | null)[] | undefined,
  ): Promise<boolean> {
    for (let attempts = 1; attempts <= mostAttempts; attempts += 1) {
      const found = await last(id)
      const changed = found && change(found.vault)
      if (!found || !changed) return false
      const appended = await append(store, vaultStream(id), [versionOf(changed)], found.revision, until)
      if (appended !== 'conflict') return true
      await pause(jittered(conflictPauseMs))
    }
    throw new LedgerError({ code: 'contended' })
  }
}

/** The vault that an event holds; undefined where it holds none. */
export function vaultOf({ stream, type, data }: StoredEvent): Vault | undefined {
  const id = vaultOfStream(stream)
  const read = stored.safeParse(data)
  return id !== undefined && type === vaultType && read.success ? { id, slots: read.data.keys } : undefined
}

/** Undefined where it is no id of a key. */
export function placeOfKey(keyId: string): { readonly vault: string; readonly slot: number } | undefined {
  const [, vault, slot] = /^([0-9a-f-]{36})\.(\d{1,2})$/.exec(keyId) ?? []
  return vault !== undefined && Number(slot) < keysPerVault ? { vault, slot: Number(slot) } : undefined
}

function keyIdOf(vault: string, slot: number): string {
  return `${vault}.${slot}`
}

function versionOf(keys: readonly (string | null)[]) {
  return { id: randomUUID(), type: vaultType, data: { keys }, metadata: { schemaVersion } }
}
