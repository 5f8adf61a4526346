/** The whole bot over a real event store and a real Postgres, through restarts. */
import { Writable } from 'node:stream'
import pg from 'pg'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { incidentId, reportBody } from '../../../src/aggregates/incident/index.ts'
import { runTelegram } from '../../../src/integrations/telegram/index.ts'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import { openLedger } from '../../../src/ledger/open.ts'
import { connectionConfig } from '../../../src/projections/database.ts'
import { openReadModel } from '../../../src/projections/open.ts'
import type { ReadModel } from '../../../src/projections/read-model.ts'
import { incidentsOfShortId, shortId } from '../../../src/projections/short-ids.ts'
import { context, secret } from '../../ledger/support/requests.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { type EventStoreProcess, startEventStoreProcess } from '../../support/event-store.ts'
import { waitFor } from '../../support/wait-for.ts'
import { type BotApiServer, startBotApi, token } from './bot-api-server.ts'

const chat = -1001
const supergroup = -1002
const silent = pino({ level: 'silent' })

let store: EventStoreProcess
let database: TestDatabase
let ledger: Ledger
let readModel: ReadModel
let api: BotApiServer
const projecting = new AbortController()
let lines: string[]
let bots: AbortController
let talking: Promise<void>[]

beforeAll(async () => {
  store = await startEventStoreProcess()
  ledger = await openLedger({ eventStoreUrl: store.url, secret, log: silent })
  database = await createTestDatabase()
  readModel = await openReadModel({ databaseUrl: database.url, ledger, log: silent })
  void readModel.project(projecting.signal)
})

afterAll(async () => {
  projecting.abort()
  await readModel?.close()
  await ledger?.close()
  await database?.drop()
  await store?.close()
})

beforeEach(async () => {
  api = await startBotApi()
  lines = []
  bots = new AbortController()
  talking = []
})

afterEach(async () => {
  bots.abort()
  await Promise.all(talking)
  await api[Symbol.asyncDispose]()
  expect(lines.join('')).not.toContain(token)
})

/** A bot of its own, as a process has one; returns how to stop it. */
function startBot({ clock = Date.now } = {}) {
  const ending = new AbortController()
  const log = pino(
    { level: 'trace' },
    new Writable({
      write(line, _encoding, done) {
        lines.push(String(line))
        done()
      },
    }),
  )
  const ended = runTelegram(
    {
      token,
      apiRoot: api.url,
      allowedChats: new Set([chat, supergroup]),
      ledger,
      queries: readModel.queries,
      databaseUrl: database.url,
      publicUrl: new URL('https://incidents.example.org/'),
      log,
      clock,
    },
    AbortSignal.any([ending.signal, bots.signal]),
  )
  talking.push(ended)
  return {
    stop: async () => {
      ending.abort()
      await ended
    },
  }
}

/** Replies to a message, in order. */
const repliesTo = (message: number) =>
  api.sent.filter(({ answers }) => answers === message).map(({ text }) => text)

async function firstReply(message: number): Promise<{ text: string; id: string }> {
  const text = await waitFor(() => repliesTo(message)[0], { describe: 'the report is answered' })
  const [, id = ''] = /incidents\/([0-9a-f-]{36})$/.exec(text) ?? []
  return { text, id }
}

const resolve = (id: string, reason?: string) =>
  ledger.incidents.change(
    incidentId.parse(id),
    { type: 'ChangeStatus', body: { status: 'resolved', ...(reason && { reason }) } },
    context(),
  )

async function savedIndex(): Promise<number> {
  const client = new pg.Client(connectionConfig({ databaseUrl: database.url }))
  await client.connect()
  try {
    const { rows } = await client.query("SELECT index FROM ledger.replies WHERE name = 'telegram'")
    return Number(rows[0]?.index ?? -1)
  } finally {
    await client.end()
  }
}

test('a report is answered with short id, status and link, and each later change is one more reply', async () => {
  startBot()
  const message = api.say(chat, '/report Disk <full>\n*now*')
  const { text, id } = await firstReply(message)
  expect(text).toBe(
    `Reported as ${shortId(incidentId.parse(id))} · new · medium\nDisk <full>\nhttps://incidents.example.org/incidents/${id}`,
  )
  const change = (body: object) =>
    ledger.incidents.change(incidentId.parse(id), { type: 'Revise', body }, context())
  await change({ severity: 'high', assignee: 'Grace' })
  await resolve(id, 'Deleted <old> logs')
  await ledger.incidents.change(
    incidentId.parse(id),
    { type: 'AddNote', noteId: '01932f60-1b7e-7c44-8d0a-5e6f7a8b9c0d', text: 'Bigger disk ordered' },
    context(),
  )
  await waitFor(() => repliesTo(message).length === 5, { describe: 'all changes are told' })
  const short = shortId(incidentId.parse(id))
  expect(repliesTo(message).map((reply) => reply.replace(/\nhttps:.*$/, ''))).toEqual([
    `Reported as ${short} · new · medium\nDisk <full>`,
    `${short} is of severity high (was medium), by Night shift`,
    `${short} is assigned to Grace, by Night shift`,
    `${short} is resolved (was new), by Night shift\nDeleted <old> logs`,
    `${short}: a note by Night shift\nBigger disk ordered`,
  ])
})

test('changes while no bot runs are told by the next one, and nothing that was told is told again', async () => {
  const first = startBot()
  const message = api.say(chat, 'One')
  const { id } = await firstReply(message)
  await first.stop()
  await resolve(id)
  const second = startBot()
  await waitFor(() => repliesTo(message).length === 2, { describe: 'the change is told' })
  await second.stop()
  startBot()
  const last = api.say(chat, 'Two')
  await firstReply(last)
  expect(repliesTo(message)).toHaveLength(2)
  expect(api.unconfirmed()).toBe(0)
})

test('incidents that were reported otherwise are told of to nobody', async () => {
  startBot()
  const { incident } = await ledger.incidents.report(
    {
      body: reportBody.parse({ description: 'By a key', source: 'operator' }),
      origin: 'access-key:key-1',
      originRef: `${chat}/1`,
    },
    context(),
  )
  await resolve(incident.id)
  const message = api.say(chat, 'One')
  await firstReply(message)
  expect(api.sent).toHaveLength(1)
})

test('a reply whose sending fails is sent again; where only its answer was lost, it comes twice, which is all', async () => {
  startBot()
  api.befall(
    'sendMessage',
    { status: 429, description: 'Too Many Requests: retry after 1', retryAfter: 1 },
    { lost: 'before' },
  )
  const message = api.say(chat, 'One')
  const { id } = await firstReply(message)
  expect(repliesTo(message)).toHaveLength(1)
  api.befall('sendMessage', { lost: 'after' })
  await resolve(id)
  await waitFor(() => repliesTo(message).length === 3, { describe: 'the change is told twice' })
  const last = api.say(chat, 'Two')
  await firstReply(last)
  expect(repliesTo(message)).toHaveLength(3)
})

test('what Telegram refuses to send is passed over, and what follows is told', async () => {
  startBot()
  api.befall('sendMessage', { status: 403, description: 'Forbidden: bot was kicked' })
  const lost = api.say(chat, 'One')
  const message = api.say(chat, 'Two')
  await firstReply(message)
  expect(repliesTo(lost)).toEqual([])
  expect(lines.some((line) => line.includes('does not take a reply'))).toBe(true)
})

test('a reply goes to the supergroup that its group has become, if that is allowed', async () => {
  startBot()
  const moved = { status: 400, description: 'Bad Request: group chat was upgraded to a supergroup chat' }
  api.befall('sendMessage', { ...moved, movedTo: -666 }, { ...moved, movedTo: supergroup })
  api.say(chat, 'One')
  api.say(chat, 'Two')
  await waitFor(() => api.sent.length === 1, { describe: 'one of them is answered' })
  expect(api.sent).toMatchObject([
    { chat: supergroup, text: expect.stringContaining('Two'), answers: undefined },
  ])
})

test('of two processes one talks; the other goes on where it ended, with each message reported once', async () => {
  const one = startBot()
  const message = api.say(chat, 'One')
  await firstReply(message)
  startBot()
  const polls = api.calls.filter((method) => method === 'getMe').length
  expect(polls).toBe(1)
  await one.stop()
  const next = api.say(chat, 'Two')
  await firstReply(next)
  expect(repliesTo(message)).toHaveLength(1)
})

test('Postgres gone and back: the bot goes on, and tells what it had not', async () => {
  startBot()
  const message = api.say(chat, 'One')
  const { id } = await firstReply(message)
  const client = new pg.Client(connectionConfig({ databaseUrl: database.url }))
  await client.connect()
  await client.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  )
  await client.end()
  await resolve(id)
  await waitFor(() => repliesTo(message).length === 2, { describe: 'the change is told' })
})

test('a bot whose position was lost tells what is recorded from then on, and nothing older', async () => {
  const first = startBot()
  const message = api.say(chat, 'One')
  const { id } = await firstReply(message)
  await first.stop()
  const client = new pg.Client(connectionConfig({ databaseUrl: database.url }))
  await client.connect()
  await client.query('DELETE FROM ledger.replies')
  await client.end()
  startBot()
  await waitFor(async () => api.calls.filter((method) => method === 'getMe').length === 2, {
    describe: 'the second bot talks',
  })
  await resolve(id)
  await waitFor(() => repliesTo(message).length === 2, { describe: 'the change is told' })
  expect(repliesTo(message)[1]).toContain('is resolved')
})

test('a position that is not of this ledger is begun anew', async () => {
  const first = startBot()
  const message = api.say(chat, 'One')
  const { id } = await firstReply(message)
  await first.stop()
  const client = new pg.Client(connectionConfig({ databaseUrl: database.url }))
  await client.connect()
  await client.query('UPDATE ledger.replies SET event_id = gen_random_uuid()')
  await client.end()
  startBot()
  await waitFor(() => lines.some((line) => line.includes('beginning anew')), { describe: 'it is told' })
  await waitFor(async () => api.calls.filter((method) => method === 'getMe').length === 2, {
    describe: 'the second bot talks',
  })
  await resolve(id)
  await waitFor(() => repliesTo(message).length === 2, { describe: 'the change is told' })
  expect(await savedIndex()).toBeGreaterThan(0)
})

test('short ids find their incidents, and those that begin alike together', async () => {
  const client = new pg.Client(connectionConfig({ databaseUrl: database.url }))
  await client.connect()
  const ids = [
    'aaaa1111-0000-4000-8000-000000000001',
    'aaaa1111-0000-4000-8000-000000000002',
    'aaaa2222-0000-7000-8000-000000000003',
  ]
  await client.query('BEGIN')
  for (const id of ids) {
    await client.query(
      `INSERT INTO read_model.incident SELECT (jsonb_populate_record(i, jsonb_build_object('id', $1::text))).* FROM read_model.incident i LIMIT 1`,
      [id],
    )
  }
  const found = (beginning: string) => incidentsOfShortId(client, beginning)
  expect(await found('aaaa')).toEqual(ids)
  expect(await found('aaaa1111')).toEqual(ids.slice(0, 2))
  expect(await found('aaaa1111-0000-4000-8000-000000000002')).toEqual([ids[1]])
  expect(await found('aaaa2222-0000')).toEqual([ids[2]])
  expect(await found('aaaa3')).toEqual([])
  for (const nonsense of ['aaaa11110', '--------', 'aaaa-1111']) expect(await found(nonsense)).toEqual([])
  await client.query('ROLLBACK')
  await client.end()
})
