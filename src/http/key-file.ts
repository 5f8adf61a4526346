import { unwatchFile, watchFile } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { instant, name } from '../aggregates/incident/index.ts'
import { type AccessKey, configuredKeyId, scopes } from './access-key.ts'

/** How often the file's time is looked at: a key that was removed must not work for longer than a second. */
const pollMs = 500

export interface KeyFile {
  readonly byDigest: (digest: string) => AccessKey | undefined
  readonly byId: (id: string) => AccessKey | undefined
  readonly close: () => void
}

const keyFile = z.strictObject({
  keys: z
    .array(
      z.strictObject({
        /** Unique in the file; also the key's id. */
        name: name.max(200).refine((value) => value !== configuredKeyId, `must not be ${configuredKeyId}`),
        sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits'),
        scopes: z.array(z.enum(scopes)).min(1),
        expiresAt: instant.optional(),
      }),
    )
    .max(10_000),
})

/**
 * The keys of a file: `{"keys": [{"name", "sha256", "scopes", "expiresAt"?}]}`. Once the file is gone, none of them holds.
 * @throws Error that names the file and the field, where the file as it is cannot be taken.
 */
export async function openKeyFile(path: string, onError: (error: Error) => void): Promise<KeyFile> {
  let keys = await readKeys(path)
  let reading = Promise.resolve()
  const reread = () => {
    reading = reading.then(async () => {
      try {
        keys = await readKeys(path)
      } catch (error) {
        if (isMissing(error)) keys = noKeys
        onError(error instanceof Error ? error : new Error(String(error)))
      }
    })
  }
  watchFile(path, { interval: pollMs, persistent: false }, reread)
  return {
    byDigest: (digest) => keys.byDigest.get(digest),
    byId: (id) => keys.byId.get(id),
    close: () => unwatchFile(path, reread),
  }
}

interface Keys {
  readonly byDigest: ReadonlyMap<string, AccessKey>
  readonly byId: ReadonlyMap<string, AccessKey>
}
const noKeys: Keys = { byDigest: new Map(), byId: new Map() }

async function readKeys(path: string): Promise<Keys> {
  const result = keyFile.safeParse(json(await readFile(path, 'utf8'), path))
  if (!result.success) throw new Error(`${path}: ${z.prettifyError(result.error)}`)
  const byDigest = new Map<string, AccessKey>()
  const byId = new Map<string, AccessKey>()
  for (const { name, sha256, scopes: granted, expiresAt } of result.data.keys) {
    if (byId.has(name)) throw new Error(`${path}: two keys have the name ${name}`)
    if (byDigest.has(sha256)) throw new Error(`${path}: ${name} has the digest of another key`)
    const expiresAtMs = expiresAt && Date.parse(expiresAt)
    const key: AccessKey = {
      id: name,
      name,
      scopes: new Set(granted),
      expiresAtMs: expiresAtMs || undefined,
      requiresSignature: false,
    }
    byDigest.set(sha256, key)
    byId.set(name, key)
  }
  return { byDigest, byId }
}

function json(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`${path}: is not JSON`)
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
