import { chmod, readdir, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadOrCreateSecret } from '../../src/embedded/secret.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

test('a secret is 32 random bytes, made once and found again', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'data', 'secret')
  const secret = await loadOrCreateSecret(path)
  expect(Buffer.from(secret, 'base64url')).toHaveLength(32)
  expect(await loadOrCreateSecret(path)).toBe(secret)
  expect(await loadOrCreateSecret(join(directory.path, 'other'))).not.toBe(secret)
})

test('only its owner can read it, whatever the umask', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'secret')
  const umask = process.umask(0)
  try {
    await loadOrCreateSecret(path)
  } finally {
    process.umask(umask)
  }
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})

test('many who ask at once get the same one, and no draft stays behind', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'secret')
  const secrets = await Promise.all(Array.from({ length: 20 }, () => loadOrCreateSecret(path)))
  expect(new Set(secrets).size).toBe(1)
  expect(await readdir(directory.path)).toEqual(['secret'])
})

test.each([0o640, 0o604, 0o620, 0o666])(
  'one that others could read or write (mode %o) is refused',
  async (mode) => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'secret')
    await loadOrCreateSecret(path)
    await chmod(path, mode)
    await expect(loadOrCreateSecret(path)).rejects.toThrow(
      /^.*secret holds a secret that others can read \(mode 06..\): chmod 600 it.*$/,
    )
  },
)

test('a damaged one is refused and left as it is', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'secret')
  await loadOrCreateSecret(path)
  await truncate(path, 20)
  await expect(loadOrCreateSecret(path)).rejects.toThrow('does not hold a secret of 32 bytes')
  expect((await stat(path)).size).toBe(20)
  await writeFile(path, '')
  await expect(loadOrCreateSecret(path)).rejects.toThrow('does not hold a secret of 32 bytes')
})
