/** Who may ask for what. Looking a key up costs one hash and no I/O. */
import type { AccessKey as IssuedKey } from '../aggregates/access-key/index.ts'
import { accessKeyDigest } from '../ledger/access-key-register.ts'
import type { AccessKeyDirectory } from '../projections/access-key-directory.ts'
import { type AccessKey, configuredKeyId, scopes } from './access-key.ts'
import { type KeyFile, openKeyFile } from './key-file.ts'

export interface AccessKeys {
  /** The key's holder; undefined where it is not known, revoked or expired. */
  readonly find: (key: string) => AccessKey | undefined
  /** The key with this id, while it holds: open streams end when it does not. */
  readonly byId: (id: string) => AccessKey | undefined
  /** Whether a revocation would be known by now. While it is false, signed requests are refused. */
  readonly isCurrent: () => boolean
}

export interface AccessKeySources {
  /** X_ACCESS_KEY, as the configuration let it pass. `isDefault`: known to everyone who read the docs, so it opens nothing of an admin's. */
  readonly configured: { readonly value: string; readonly isDefault: boolean }
  /** The keys of the ledger. */
  readonly directory: Pick<AccessKeyDirectory, 'byDigest' | 'byId' | 'isCurrent'>
  /** A JSON file of further keys. */
  readonly keyFile?: string | undefined
  readonly clock: () => number
  /** Told why a changed file is not taken; the keys read before stay. */
  readonly onError: (error: Error) => void
}

/**
 * The keys of a process: X_ACCESS_KEY, those that were issued, and those of a key file, which is read again within a second of its change.
 * @throws Error with a sentence for the operator: a file that cannot be read.
 */
export async function openAccessKeys(
  sources: AccessKeySources,
): Promise<AccessKeys & { readonly close: () => void }> {
  const { directory, clock } = sources
  const configured = configuredKey(sources.configured)
  const file: KeyFile | undefined = sources.keyFile
    ? await openKeyFile(sources.keyFile, sources.onError)
    : undefined
  const valid = (key: AccessKey | undefined) =>
    key && (key.expiresAtMs === undefined || clock() < key.expiresAtMs) ? key : undefined

  return {
    // The digest is looked up, not the key: what the time of a lookup tells is about a hash that nobody can steer.
    find: (key) => {
      const digest = accessKeyDigest(key)
      if (digest === configured.digest) return configured.key
      return valid(issuedKey(directory.byDigest(digest)) ?? file?.byDigest(digest))
    },
    byId: (id) => {
      if (id === configuredKeyId) return configured.key
      return valid(issuedKey(directory.byId(id)) ?? file?.byId(id))
    },
    isCurrent: directory.isCurrent,
    close: () => file?.close(),
  }
}

/** What was made of a key: a change of it makes another object of the aggregate. */
const made = new WeakMap<IssuedKey, AccessKey>()

function issuedKey(key: IssuedKey | undefined): AccessKey | undefined {
  if (key?.status !== 'active') return undefined
  const known = made.get(key)
  if (known) return known
  const { id, name, expiresAt, requiresSignature } = key
  const expiresAtMs = expiresAt === null ? undefined : Date.parse(expiresAt)
  const accessKey = { id, name, scopes: new Set(key.scopes), expiresAtMs, requiresSignature }
  made.set(key, accessKey)
  return accessKey
}

function configuredKey({ value, isDefault }: AccessKeySources['configured']) {
  const key: AccessKey = {
    id: configuredKeyId,
    name: 'X_ACCESS_KEY',
    scopes: new Set(isDefault ? scopes.filter((scope) => scope !== 'admin') : scopes),
    expiresAtMs: undefined,
    requiresSignature: false,
  }
  return { digest: accessKeyDigest(value), key }
}
