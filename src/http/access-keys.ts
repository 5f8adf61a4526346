/** Who may ask for what. Looking a key up costs one hash and no I/O. */
import { hash } from 'node:crypto'
import { type AccessKey, configuredKeyId, scopes } from './access-key.ts'
import { type KeyFile, openKeyFile } from './key-file.ts'

export interface AccessKeys {
  /** The key's holder; undefined where it is not known, or expired. */
  readonly find: (key: string) => AccessKey | undefined
  /** Whether the key with this id still holds: open streams end when it does not. */
  readonly holds: (id: string) => boolean
}

/** Known to everyone who read the docs; so it opens a service that only this machine can reach, and nothing of an admin's. */
const defaultKey = 'key'
const keyLengthAtLeast = 24

/**
 * The keys of a process: X_ACCESS_KEY, and those of a key file, which is read again within a second of its change.
 * @throws Error with a sentence for the operator: a key that is too weak, a file that cannot be read.
 */
export async function openAccessKeys(options: {
  readonly configuredKey?: string | undefined
  /** Whether the service listens on a loopback address. */
  readonly loopback: boolean
  readonly keyFile?: string | undefined
  readonly clock: () => number
  /** Told why a changed file is not taken; the keys read before stay. */
  readonly onError: (error: Error) => void
}): Promise<AccessKeys & { readonly close: () => void }> {
  const configured = configuredKey(options.configuredKey, options.loopback)
  const file: KeyFile | undefined = options.keyFile
    ? await openKeyFile(options.keyFile, options.onError)
    : undefined
  const valid = (key: AccessKey | undefined) =>
    key && (key.expiresAtMs === undefined || options.clock() < key.expiresAtMs) ? key : undefined

  return {
    // The digest is looked up, not the key: what the time of a lookup tells is about a hash that nobody can steer.
    find: (key) => {
      const digest = keyDigest(key)
      return valid(digest === configured?.digest ? configured.key : file?.byDigest(digest))
    },
    holds: (id) => valid(id === configuredKeyId ? configured?.key : file?.byId(id)) !== undefined,
    close: () => file?.close(),
  }
}

/** SHA-256 of a key, in hex: what a key file keeps of it. */
export function keyDigest(key: string): string {
  return hash('sha256', key, 'hex')
}

function configuredKey(key: string | undefined, loopback: boolean) {
  if (key === undefined) return undefined
  if (key === defaultKey && !loopback) {
    throw new Error('X_ACCESS_KEY: the default key works on a loopback HOST only; set one of your own')
  }
  if (key !== defaultKey && key.length < keyLengthAtLeast) {
    throw new Error(`X_ACCESS_KEY: must have at least ${keyLengthAtLeast} characters`)
  }
  const granted = key === defaultKey ? scopes.filter((scope) => scope !== 'admin') : scopes
  return {
    digest: keyDigest(key),
    key: { id: configuredKeyId, name: 'X_ACCESS_KEY', scopes: new Set(granted), expiresAtMs: undefined },
  }
}
