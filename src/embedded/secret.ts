import { randomBytes } from 'node:crypto'
import { link, mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

const secretBytes = 32
const secretForm = /^[A-Za-z0-9_-]{43}$/
const groupAndOthers = 0o077

/**
 * The secret kept in the file at `path`: 32 random bytes as base64url, 43 characters. The first call makes it, readable by its
 * owner alone and on the disk before it is answered; of two callers at once, both get the one that was made first.
 *
 * Throws an Error of one line when the file can be read by others, or holds anything but such a secret: neither is ever put right
 * silently, because what was derived from the lost secret could not be checked again.
 */
export async function loadOrCreateSecret(path: string): Promise<string> {
  return (await load(path)) ?? (await create(path))
}

async function load(path: string): Promise<string | undefined> {
  const file = await open(path, 'r').catch(absentOrThrow)
  if (!file) return undefined
  await using _ = file
  const { mode } = await file.stat()
  if (mode & groupAndOthers) {
    const octal = (mode & 0o777).toString(8).padStart(4, '0')
    throw new Error(
      `${path} holds a secret that others can read (mode ${octal}): chmod 600 it, or replace the secret`,
    )
  }
  const secret = (await file.readFile('utf8')).trimEnd()
  if (!secretForm.test(secret)) {
    throw new Error(
      `${path} does not hold a secret of ${secretBytes} bytes in base64url: restore it from a backup`,
    )
  }
  return secret
}

async function create(path: string): Promise<string> {
  const directory = dirname(path)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const secret = randomBytes(secretBytes).toString('base64url')
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await using file = await open(draft, 'wx', 0o600)
    await file.writeFile(`${secret}\n`)
    await file.sync()
    // A link, unlike a rename, never replaces what another process has put there in the meantime.
    await link(draft, path)
  } catch (error) {
    if (isErrorWithCode(error, 'EEXIST')) return loadOrCreateSecret(path)
    throw error
  } finally {
    await rm(draft, { force: true })
  }
  await using entries = await open(directory, 'r')
  await entries.sync()
  return secret
}

function absentOrThrow(error: unknown): undefined {
  if (!isErrorWithCode(error, 'ENOENT')) throw error
}

function isErrorWithCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
