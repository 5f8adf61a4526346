/** A process that owns an embedded Postgres, as the service does: `node postgres-owner.ts DIR` prints its URL. SIGTERM ends it in order. */
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts'

const [, , dataDir = ''] = process.argv
process.on('SIGINT', () => console.log('interrupted'))
const postgres = await startEmbeddedPostgres({ dataDir, log: console.error })
process.on('SIGTERM', () => void postgres.close().then(() => process.exit()))
console.log(postgres.url)
