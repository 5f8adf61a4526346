import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type TemporaryDirectory = AsyncDisposable & {
  readonly path: string
  remove(): Promise<void>
}

/** An empty directory for one test or file: `await using directory = await temporaryDirectory()`. */
export async function temporaryDirectory(parent = tmpdir()): Promise<TemporaryDirectory> {
  const path = await realpath(await mkdtemp(join(parent, 'incident-ledger-test-')))
  const remove = () => rm(path, { recursive: true, force: true, maxRetries: 5 })
  return { path, remove, [Symbol.asyncDispose]: remove }
}
