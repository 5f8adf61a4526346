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
  // After Ctrl-C vitest ends without tearing down; that the server is told to stop takes no waiting.
  const abandon = () => void postgres.close()
  process.once('SIGINT', abandon).once('SIGTERM', abandon)
  return {
    url: postgres.url,
    async close() {
      process.off('SIGINT', abandon).off('SIGTERM', abandon)
      await postgres.close()
      await directory.remove()
    },
  }
}
