/** Access keys and signatures across two service processes over one event store: what one knows, the other knows. */
import { execFile } from 'node:child_process'
import { hash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventsAnswer } from '../../src/http/answers.ts'
import { signedHeaders } from '../http/support/signing.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type EventStoreProcess, startEventStoreProcess } from '../support/event-store.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { type ServiceProcess, startService } from '../support/service-process.ts'
import { isMissing } from '../support/services.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { waitFor } from '../support/wait-for.ts'

const bin = fileURLToPath(new URL('../../bin/incident-ledger', import.meta.url))
const run = promisify(execFile)
/** Where callers find both replicas. */
const publicUrl = 'https://ledger.example'
const report = JSON.stringify({ source: 'operator', description: 'Payments fail' })

interface Issued {
  readonly id: string
  readonly key: string
  readonly signingSecret: string
}

describe.each([
  { memory: 'Postgres', missing: false },
  { memory: 'Redis', missing: isMissing('Redis') },
])('two replicas that remember nonces in $memory', ({ memory, missing }) => {
  let eventStore: EventStoreProcess
  let database: TestDatabase
  let redis: TestRedis | undefined
  let environment: Record<string, string>
  let one: ServiceProcess
  let other: ServiceProcess

  beforeAll(async () => {
    if (missing) return
    eventStore = await startEventStoreProcess()
    database = await createTestDatabase()
    redis = memory === 'Redis' ? await startRedis() : undefined
    environment = {
      EVENTSTORE_URL: eventStore.url,
      DATABASE_URL: database.url,
      LEDGER_SECRET: 'a-secret-that-both-replicas-share',
      PUBLIC_URL: publicUrl,
      ...(redis && { REDIS_URL: redis.url }),
    }
    ;[one, other] = [await startService(environment), await startService(environment)]
  })

  afterAll(async () => {
    await Promise.all([one?.stop(), other?.stop()])
    await redis?.close()
    await database?.drop()
    await eventStore?.close()
  })

  const issue = async (body: object): Promise<Issued> => {
    const answer = await one.call('POST', '/access-keys', { body })
    expect(answer.status).toBe(201)
    return answer.body
  }
  const statusWith = async (replica: ServiceProcess, key: string) =>
    (await replica.call('GET', '/incidents', { headers: { 'x-access-key': key } })).status
  const send = async (replica: ServiceProcess, headers: Record<string, string>): Promise<string | number> => {
    const answer = await fetch(`${replica.url}/incidents`, { method: 'POST', headers, body: report })
    if (answer.status === 201) return 201
    const problem = (await answer.json()) as { type: string } // as every refusal is
    return problem.type
  }
  const signedBy = ({ id, signingSecret }: Issued) =>
    signedHeaders(
      { method: 'POST', url: `${publicUrl}/incidents`, body: report },
      { keyId: id, secret: signingSecret, createdS: Math.floor(Date.now() / 1_000) },
    )

  test.skipIf(missing)(
    'a key that one issues opens the other, and is closed in both when either revokes it',
    async () => {
      const { id, key } = await issue({ name: 'pager', scopes: ['read'] })
      await waitFor(async () => (await statusWith(other, key)) === 200, {
        describe: 'the other knows the key',
      })
      const stream = await fetch(`${other.url}/events/stream`, { headers: { 'x-access-key': key } })
      expect(stream.status).toBe(200)

      await one.call('DELETE', `/access-keys/${id}`)
      expect(await statusWith(one, key)).toBe(401)
      await waitFor(async () => (await statusWith(other, key)) === 401, {
        describe: 'the other knows of the revocation',
      })
      for await (const _ of stream.body ?? []) {
        // To its end: the stream was opened with a key that does not hold any more.
      }
    },
  )

  test.skipIf(missing)('a signature is taken once, in whichever process, also after a restart', async () => {
    const issued = await issue({ name: 'signer', scopes: ['write'], requiresSignature: true })
    await waitFor(async () => (await send(other, signedBy(issued))) === 201, { describe: 'the key is known' })
    const headers = signedBy(issued)
    const replayed = '/problems/signature-replayed'
    expect(await send(one, headers)).toBe(201)
    expect(await send(one, headers)).toBe(replayed)
    expect(await send(other, headers)).toBe(replayed)
    await one.stop()
    await one.start()
    expect(await send(one, headers)).toBe(replayed)
    expect(await send(one, signedBy(issued))).toBe(201)
  })

  test.skipIf(missing)(
    'without the event store, known keys still open, and signed requests are refused',
    async () => {
      const plain = await issue({ name: 'reader', scopes: ['read'] })
      const signer = await issue({ name: 'signer', scopes: ['read', 'write'] })
      await waitFor(async () => (await statusWith(other, plain.key)) === 200, {
        describe: 'the other knows the keys',
      })
      await eventStore.kill()
      await waitFor(
        async () => (await send(other, signedBy(signer))) === '/problems/signature-unverifiable',
        {
          describe: 'signed requests are refused',
        },
      )
      expect(await statusWith(other, plain.key)).toBe(200)
      await eventStore.restart()
      await waitFor(async () => (await send(other, signedBy(signer))) === 201, {
        describe: 'signed requests are taken again',
      })
    },
  )
})

test('an auditor sees who gave which key what and when, in one list with what was done with it', async () => {
  await using directory = await temporaryDirectory()
  await using service = await startService({ DATA_DIR: directory.path })
  const issued = await service.call('POST', '/access-keys', {
    body: { name: 'pager', scopes: ['read', 'write', 'audit'] },
  })
  const { id, key, signingSecret }: Issued = issued.body
  const withKey = { headers: { 'x-access-key': key } }
  const reported = await service.call('POST', '/incidents', { ...withKey, body: JSON.parse(report) })
  await service.call('PATCH', `/access-keys/${id}`, { body: { name: 'old pager', scopes: ['audit'] } })
  const list = async (query: string) => {
    const answer = await service.call('GET', `/events?${query}`, withKey)
    expect(answer.status).toBe(200)
    return eventsAnswer.parse(answer.body)
  }
  await waitFor(async () => (await list('')).items.length === 4, { describe: 'all is projected' })

  const all = await list('sort=index')
  const actor = { kind: 'access-key', id: 'x-access-key', name: 'X_ACCESS_KEY' }
  expect(all.items).toMatchObject([
    { index: 0, accessKeyId: id, revision: 0, type: 'AccessKeyIssued', actor, data: { name: 'pager' } },
    { index: 1, incidentId: reported.body.id, type: 'IncidentReported', actor: { id } },
    { index: 2, accessKeyId: id, revision: 1, type: 'AccessKeyRenamed', data: { to: 'old pager' } },
    { index: 3, accessKeyId: id, revision: 2, type: 'AccessKeyRescoped', actor, data: { to: ['audit'] } },
  ])
  const digest = hash('sha256', key)
  for (const secret of [key, signingSecret, digest]) expect(JSON.stringify(all)).not.toContain(secret)

  const indexes = async (query: string) => (await list(query)).items.map(({ index }) => index)
  expect(await indexes(`actorId=${id}`)).toEqual([1])
  expect(await indexes('actorId=x-access-key')).toEqual([3, 2, 0])
  expect(await indexes('type=AccessKeyRescoped')).toEqual([3])
  expect(await indexes('type=IncidentReported')).toEqual([1])
  expect(await indexes(`accessKeyId=${id}&sort=index`)).toEqual([0, 2, 3])
  expect(await indexes(`incidentId=${reported.body.id}`)).toEqual([1])
  expect(await indexes(`incidentId=${reported.body.id}&accessKeyId=${id}`)).toEqual([])
  expect(await indexes(`to=${all.items[1]?.recordedAt}`)).toEqual([0])

  const first = await list('limit=3')
  const second = await list(`limit=3&cursor=${first.nextCursor}`)
  expect([...first.items, ...second.items]).toEqual(all.items.toReversed())
  expect(second.nextCursor).toBeNull()

  await service.call('DELETE', `/access-keys/${id}`)
  const withItsOwn = await service.call('GET', '/events?type=AccessKeyRevoked', withKey)
  expect(withItsOwn.status).toBe(401)
})

test('the first admin key of a running service comes from the command line, without a restart', async () => {
  await using directory = await temporaryDirectory()
  await using service = await startService({ DATA_DIR: directory.path })
  const { stdout } = await run(bin, [
    '--data-dir',
    directory.path,
    '--json',
    'keys',
    'issue',
    'operator',
    '--scopes',
    'admin,read',
  ])
  const { id, key }: Issued = JSON.parse(stdout)
  const headers = { 'x-access-key': key }
  await waitFor(async () => (await service.call('GET', '/access-keys', { headers })).status === 200, {
    describe: 'the key opens',
  })
  await run(bin, ['--data-dir', directory.path, 'keys', 'revoke', id])
  await waitFor(async () => (await service.call('GET', '/access-keys', { headers })).status === 401, {
    describe: 'the key is revoked',
  })
  expect(service.output()).not.toContain(key)
})
