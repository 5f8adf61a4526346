import {
  type AccessKey,
  type AccessKeyId,
  type AccessKeyState,
  evolveAccessKey,
  isIssued,
  unissued,
} from '../aggregates/access-key/index.ts'
import type { AccessKeyRegister } from '../ledger/ledger.ts'

/** The access keys of the ledger as they are now, in this process's memory: to look one up costs no I/O. */
export interface AccessKeyDirectory {
  readonly byDigest: (digest: string) => AccessKey | undefined
  readonly byId: (id: string) => AccessKey | undefined
  /** All of them, in the order of their issue, revoked ones too. */
  readonly all: () => readonly AccessKey[]
  /** Whether the event store is in reach, so that a revocation would be known at once. */
  readonly isCurrent: () => boolean
  /** Resolves when every key that was issued so far is known; rejects when the signal aborts before. */
  readonly loaded: Promise<void>
  /** Resolves when the key is known here at this revision or a later one; at the latest after `timeoutMs`. */
  readonly shown: (id: AccessKeyId, revision: number, timeoutMs: number) => Promise<void>
}

const batchSize = 500

/** Follows the access keys of the ledger until the signal aborts. What it knew stays known while the event store is away. */
export function openAccessKeyDirectory(
  register: Pick<AccessKeyRegister, 'follow'>,
  signal: AbortSignal,
): AccessKeyDirectory {
  const keys = new Map<string, AccessKey>()
  const digests = new Map<string, AccessKeyId>()
  const waiting = new Set<() => void>()
  const loaded = Promise.withResolvers<void>()
  let connected = false

  const following = (async () => {
    for await (const { records, caughtUp } of register.follow({
      batchSize,
      signal,
      onConnection: (isUp) => {
        connected = isUp
      },
    })) {
      for (const { keyId, event, revision } of records) {
        const before: AccessKeyState = keys.get(keyId) ?? unissued
        if (isIssued(before) ? revision !== before.revision + 1 : revision !== 0) continue
        const after = evolveAccessKey(keyId, before, event)
        keys.set(keyId, after)
        digests.set(after.digest, keyId)
      }
      for (const look of [...waiting]) look()
      if (caughtUp) loaded.resolve()
    }
  })()
  following.then(
    () => loaded.reject(new Error('stopped before the access keys were read')),
    (error: unknown) => loaded.reject(error),
  )
  loaded.promise.catch(() => {}) // told to whoever waits for it, and to nobody else

  return {
    byDigest: (digest) => keys.get(digests.get(digest) ?? ''),
    byId: (id) => keys.get(id),
    all: () => [...keys.values()],
    isCurrent: () => connected,
    loaded: loaded.promise,
    shown: (id, revision, timeoutMs) =>
      new Promise((resolve) => {
        const isShown = () => (keys.get(id)?.revision ?? -1) >= revision
        if (isShown()) return resolve()
        const end = () => {
          clearTimeout(timer)
          waiting.delete(look)
          resolve()
        }
        const look = () => {
          if (isShown()) end()
        }
        const timer = setTimeout(end, timeoutMs)
        waiting.add(look)
      }),
  }
}
