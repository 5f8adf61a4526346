import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import pg from 'pg'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Nonces } from '../../../src/http/signed-requests/nonces.ts'
import { openNoncesInPostgres } from '../../../src/http/signed-requests/nonces-in-postgres.ts'
import { openNoncesInRedis } from '../../../src/http/signed-requests/nonces-in-redis.ts'
import { migrate } from '../../../src/projections/database.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { startRedis, type TestRedis } from '../../support/redis.ts'
import { isMissing } from '../../support/services.ts'
import { waitFor } from '../../support/wait-for.ts'

const log = pino({ level: 'silent' })
const keepMs = 370_000
/** Well after the memory began, however the clocks of the two machines differ. */
const created = () => Date.now() + 60_000

function closing(nonces: Nonces): Nonces {
  onTestFinished(() => nonces.close())
  return nonces
}

describe.skipIf(isMissing('Postgres'))('nonces in Postgres', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await createTestDatabase()
    await migrate(database.url)
  })
  afterAll(() => database.drop())
  const open = () => closing(openNoncesInPostgres(database.url, log))

  test('are taken once for a key, by whichever process comes first', async () => {
    const [one, other] = [open(), open()]
    const nonce = randomUUID()
    const uses = Array.from({ length: 40 }, (_, at) =>
      (at % 2 ? one : other).use('key', nonce, created(), keepMs),
    )
    expect((await Promise.all(uses)).filter(Boolean)).toHaveLength(1)
    expect(await one.use('another key', nonce, created(), keepMs)).toBe(true)
  })

  test('are known after a restart', async () => {
    const nonce = randomUUID()
    const before = openNoncesInPostgres(database.url, log)
    expect(await before.use('key', nonce, created(), keepMs)).toBe(true)
    await before.close()
    expect(await open().use('key', nonce, created(), keepMs)).toBe(false)
  })

  test('many at once are each answered for themselves', async () => {
    const nonces = open()
    const all = Array.from({ length: 3_000 }, () => randomUUID())
    expect(
      (await Promise.all(all.map((nonce) => nonces.use('key', nonce, created(), keepMs)))).every(Boolean),
    ).toBe(true)
    expect(
      (await Promise.all(all.map((nonce) => nonces.use('key', nonce, created(), keepMs)))).some(Boolean),
    ).toBe(false)
  })

  test('what was signed before a Postgres lost its memory is refused', async () => {
    const nonces = open()
    const nonce = randomUUID()
    expect(await nonces.use('key', nonce, Date.now(), keepMs)).toBe(true)
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    await client.query('TRUNCATE ledger.used_nonce, ledger.nonce_memory, ledger.nonce_process') // as recovery from a crash does
    await client.end()
    await expect(nonces.use('key', nonce, Date.now(), keepMs)).rejects.toThrow('not remembered')
    await expect(nonces.use('key', nonce, Date.now(), keepMs)).resolves.toBe(false)
    expect(await nonces.use('key', randomUUID(), created(), keepMs)).toBe(true)
  })

  test('that cannot be looked up are told as such, and never as fresh', async () => {
    const nowhere = closing(openNoncesInPostgres('postgres://nobody@127.0.0.1:1/nothing', log))
    await expect(nowhere.use('key', randomUUID(), created(), keepMs)).rejects.toThrow()
  })
})

describe.skipIf(isMissing('Redis'))('nonces in Redis', () => {
  let redis: TestRedis
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.close())
  const open = () => closing(openNoncesInRedis(redis.url, log))
  /** Once the connection is made. */
  const used = (nonces: Nonces, nonce: string, createdMs = created()) =>
    waitFor(
      () =>
        Promise.resolve(nonces.use('key', nonce, createdMs, keepMs))
          .then((answer) => ({ answer }))
          .catch(() => undefined),
      {
        describe: 'Redis answers',
      },
    ).then(({ answer }) => answer)

  test('are taken once for a key, by whichever process comes first', async () => {
    const [one, other] = [open(), open()]
    await Promise.all([used(one, randomUUID()), used(other, randomUUID())])
    const nonce = randomUUID()
    const uses = Array.from({ length: 40 }, (_, at) =>
      (at % 2 ? one : other).use('key', nonce, created(), keepMs),
    )
    expect((await Promise.all(uses)).filter(Boolean)).toHaveLength(1)
  })

  test('are known after a restart of the service', async () => {
    const nonce = randomUUID()
    const before = openNoncesInRedis(redis.url, log)
    expect(await used(before, nonce)).toBe(true)
    await before.close()
    expect(await used(open(), nonce)).toBe(false)
  })

  test('are forgotten when their signature is too old', async () => {
    const nonces = open()
    await used(nonces, randomUUID())
    const nonce = randomUUID()
    await nonces.use('key', nonce, created(), keepMs)
    const client = new Redis(redis.url)
    onTestFinished(() => client.disconnect())
    const key = (await client.keys(`*${nonce}*`))[0] ?? ''
    expect(await client.pttl(key)).toBeGreaterThan(0)
  })

  test('what was signed before a Redis lost its memory is refused', async () => {
    const nonces = open()
    const nonce = randomUUID()
    expect(await used(nonces, nonce)).toBe(true)
    await redis.flush()
    const before = nonces.use('key', nonce, Date.now(), keepMs)
    await expect(before).rejects.toThrow('not remembered')
    expect(await nonces.use('key', randomUUID(), created(), keepMs)).toBe(true)
  })

  test('that cannot be looked up are told as such, and never as fresh', async () => {
    const nowhere = closing(openNoncesInRedis('redis://127.0.0.1:1', log))
    await expect(nowhere.use('key', randomUUID(), created(), keepMs)).rejects.toThrow()
  })
})
