/** What holds when many ask the same thing at once, asked of two service processes over one event store. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startTestEventStore, type TestEventStore } from '../support/event-store.ts'
import { type ServiceProcess, startService } from '../support/service-process.ts'

let eventStore: TestEventStore
let database: TestDatabase
let replicas: readonly [ServiceProcess, ServiceProcess]

beforeAll(async () => {
  eventStore = await startTestEventStore()
  database = await createTestDatabase()
  const environment = {
    EVENTSTORE_URL: eventStore.url,
    DATABASE_URL: database.url,
    LEDGER_SECRET: 'a-secret-that-both-replicas-share',
  }
  replicas = [await startService(environment), await startService(environment)]
})

afterAll(async () => {
  await Promise.all(replicas?.map((replica) => replica.stop()) ?? [])
  await database?.drop()
  await eventStore?.close()
})

/** Calls both replicas in turn, all at once. */
function atOnce<Result>(
  times: number,
  call: (replica: ServiceProcess, n: number) => Promise<Result>,
): Promise<Result[]> {
  return Promise.all(
    Array.from({ length: times }, (_, n) => call(n % 2 === 0 ? replicas[0] : replicas[1], n)),
  )
}

const report = (more: object = {}) => ({ source: 'operator', description: 'Payments fail', ...more })

test('a create sent 100 times at once with one Idempotency-Key is one incident and 100 equal answers', async () => {
  const headers = { 'idempotency-key': `"${randomUUID()}"` }
  const answers = await atOnce(100, (replica) =>
    replica.call('POST', '/incidents', { body: report(), headers }),
  )
  const told = answers.map(({ status, headers: sent, body }) =>
    JSON.stringify([status, sent.get('etag'), sent.get('location'), body]),
  )
  expect(new Set(told).size).toBe(1)
  expect(answers[0]?.status).toBe(201)
  const { body } = await replicas[1].call('GET', `${answers[0]?.headers.get('location')}/history`)
  expect(body.items).toHaveLength(1)
})

test('50 writers on one incident at once lose no update, and revisions are dense', async () => {
  const { headers } = await replicas[0].call('POST', '/incidents', { body: report() })
  const path = headers.get('location')
  const texts = Array.from({ length: 50 }, (_, n) => `note ${n}`)
  const answers = await atOnce(50, (replica, n) =>
    replica.call('POST', `${path}/notes`, { body: { text: texts[n] } }),
  )
  expect(answers.map((answer) => answer.status)).toEqual(answers.map(() => 200))
  const { body } = await replicas[0].call('GET', `${path}/history`)
  const events: { revision: number; data: { text?: string } }[] = body.items
  expect(events.map((event) => event.revision)).toEqual(Array.from({ length: 51 }, (_, n) => n))
  expect(events.flatMap((event) => event.data.text ?? []).sort()).toEqual(texts.toSorted())
})

test('200 reporters of one externalKey at once meet in one incident', async () => {
  const externalKey = `alarm-${randomUUID()}`
  const answers = await atOnce(200, (replica) =>
    replica.call('POST', '/incidents', { body: report({ externalKey }) }),
  )
  const counts = Object.groupBy(answers, (answer) => answer.status)
  expect(Object.keys(counts)).toEqual(['200', '201'])
  expect(counts['201']).toHaveLength(1)
  expect(new Set(answers.map((answer) => answer.headers.get('location'))).size).toBe(1)
})

test('what one replica answered, the other shows at once to a reader who sends its Ledger-Position', async () => {
  for (let round = 0; round < 20; round += 1) {
    const created = await replicas[0].call('POST', '/incidents', { body: report() })
    const position = created.headers.get('ledger-position') ?? ''
    const path = created.headers.get('location') ?? ''
    const seen = await replicas[1].call('GET', path, { headers: { 'ledger-position': position } })
    expect(seen.status).toBe(200)
  }
})
