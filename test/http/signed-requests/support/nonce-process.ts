/** A process that uses nonces as it is told, for tests which stop and kill it: forked with the URL of a Postgres or a Redis. */
import { pino } from 'pino'
import { openNoncesInPostgres } from '../../../../src/http/signed-requests/nonces-in-postgres.ts'
import { openNoncesInRedis } from '../../../../src/http/signed-requests/nonces-in-redis.ts'

const [url = ''] = process.argv.slice(2)
const log = pino({ level: 'silent' })
const nonces = url.startsWith('redis') ? openNoncesInRedis(url, log) : openNoncesInPostgres(url, log)

process.on('message', async ({ id, nonce, createdMs }: { id: number; nonce: string; createdMs: number }) => {
  const answer = nonces.use('key', nonce, createdMs, 370_000)
  const outcome = await Promise.resolve(answer).catch((error: Error) => error.message)
  process.send?.({ id, outcome, atOnce: typeof answer === 'boolean' })
})
process.once('SIGTERM', async () => {
  await nonces.close()
  process.disconnect?.()
})
