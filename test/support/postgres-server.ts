import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import type { Finding } from './services.ts'
import { temporaryDirectory } from './temporary-directory.ts'

export type TestPostgres = {
  readonly url: string
  close(): Promise<void>
}

/** The Postgres that `finding` speaks of; one named by the environment is neither started nor stopped. */
export async function startTestPostgres(finding: Finding): Promise<TestPostgres | undefined> {
  switch (finding.from) {
    case 'environment':
      return { url: finding.url, close: async () => {} }
    case 'container':
      return startContainer()
    case 'embedded':
      return startEmbedded()
    case 'local program':
    case 'nowhere':
      return undefined
  }
}

async function startContainer(): Promise<TestPostgres> {
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql')
  const container = await new PostgreSqlContainer('postgres:18').start()
  return {
    url: container.getConnectionUri(),
    async close() {
      await container.stop()
    },
  }
}

async function startEmbedded(): Promise<TestPostgres> {
  const directory = await temporaryDirectory()
  const postgres = await startEmbeddedPostgres({ dataDir: directory.path, log: console.error })
  // A run that is broken off, as by a second Ctrl-C, does not close it.
  const stopWithUs = () => {
    const [pid] = readFileSync(join(directory.path, 'cluster', 'postmaster.pid'), 'utf8').split('\n')
    process.kill(Number(pid), 'SIGQUIT')
    rmSync(directory.path, { recursive: true, force: true })
  }
  process.once('exit', stopWithUs)
  return {
    url: postgres.url,
    async close() {
      process.off('exit', stopWithUs)
      await postgres.close()
      await directory.remove()
    },
  }
}
