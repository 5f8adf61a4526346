import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { openAccessKeys } from '../../src/http/access-keys.ts'
import { guardRoutes } from '../../src/http/guard.ts'
import { aReport, call, keys, reported, startService } from './support/service.ts'

const local = { host: 'localhost' }

describe('the door', () => {
  test.each([
    '/incidents',
    '/events',
    '/events/stream',
    '/stats',
    '/metrics',
    '/nothing',
    '/Health',
    '/health/../stats',
  ])('asks for a key at %s', async (url) => {
    const answer = await startService().app.inject({ url, headers: local })
    expect(answer.json()).toMatchObject({ status: 401, type: '/problems/access-key-required' })
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer /)
  })

  test.each([
    '/health',
    '/health/live',
    '/health/ready',
    '/docs',
    '/openapi.json',
    '/asyncapi.json',
    '/problems',
    '/problems/not-found',
  ])('is open at %s', async (url) => {
    expect((await startService().app.inject({ url, headers: local })).statusCode).toBe(200)
  })

  test.each([
    ['X-Access-Key', { 'x-access-key': keys.reader }],
    ['a bearer token', { authorization: `Bearer ${keys.reader}` }],
    ['a Basic password', { authorization: `Basic ${btoa(`anyone:${keys.reader}`)}` }],
  ])('takes the key as %s', async (_, headers) => {
    const answer = await startService().app.inject({ url: '/incidents', headers: { ...local, ...headers } })
    expect(answer.statusCode).toBe(200)
  })

  test.each([
    { 'x-access-key': 'wrong' },
    { 'x-access-key': '' },
    { authorization: `Digest ${keys.all}` },
    { authorization: 'Basic ???' },
    { authorization: 'Bearer ' },
  ])('refuses %o', async (headers) => {
    const answer = await startService().app.inject({ url: '/incidents', headers: { ...local, ...headers } })
    expect(answer.statusCode).toBe(401)
  })

  test('says which scope is missing', async () => {
    const service = startService()
    const write = await call(service, 'POST', '/incidents', aReport, { 'x-access-key': keys.reader })
    expect(write.json()).toMatchObject({ status: 403, type: '/problems/scope-missing', scope: 'write' })
    const read = await call(service, 'GET', '/incidents', undefined, { 'x-access-key': keys.writer })
    expect(read.json()).toMatchObject({ status: 403, scope: 'read' })
    expect(service.ledger.records).toHaveLength(0)
    // Across all incidents, who did what; of one of them, its history tells all who work on it.
    const across = await call(service, 'GET', '/events', undefined, { 'x-access-key': keys.reader })
    expect(across.json()).toMatchObject({ status: 403, scope: 'audit' })
    const history = await call(service, 'GET', `/incidents/${await reported(service)}/history`, undefined, {
      'x-access-key': keys.reader,
    })
    expect(history.statusCode).toBe(200)
  })

  test('refuses before it reads the body', async () => {
    const answer = await call(startService(), 'POST', '/incidents', '{"malformed', {
      'x-access-key': 'wrong',
    })
    expect(answer.statusCode).toBe(401)
  })
})

test('a route that declares no scope does not register', async () => {
  const app = Fastify()
  guardRoutes(app, {
    accessKeys: { find: () => undefined },
    signed: { check: () => Promise.reject(new Error('nothing is signed here')) },
    rates: {
      isBlocked: () => false,
      refuseBlocked: () => {},
      countRefusal: async (_, refusal) => refusal,
      countRequest: undefined,
    },
  })
  expect(() => app.get('/new', () => 'open')).toThrow(/GET \/new must declare config.access/)
  await app.close()
})

describe('the fence', () => {
  test.each([
    'localhost',
    'localhost:3003',
    '127.0.0.1:3003',
    '127.1.2.3',
    '[::1]:3003',
    'a.localhost',
    'ledger.example',
  ])('lets the host %s pass', async (host) => {
    const service = startService({ hostNames: ['ledger.example'] })
    expect((await call(service, 'GET', '/incidents', undefined, { host })).statusCode).toBe(200)
  })

  test.each([
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '10.0.0.1',
    'localhost:x',
    '@localhost',
  ])('refuses the host %s', async (host) => {
    const answer = await call(startService(), 'GET', '/incidents', undefined, { host })
    expect(answer.json()).toMatchObject({ status: 421, type: '/problems/foreign-host' })
  })

  test.each(['10.0.0.1', '10.1.2.3:3003', '[fd00::1]:3003'])(
    'lets probes pass that ask at the host “%s”',
    async (host) => {
      const service = startService()
      for (const url of ['/health', '/health/live', '/health/ready', '/metrics']) {
        expect((await call(service, 'GET', url, undefined, { host })).statusCode, url).toBe(200)
      }
      for (const url of ['/incidents', '/docs', '/openapi.json', '/']) {
        expect((await call(service, 'GET', url, undefined, { host })).statusCode, url).toBe(421)
      }
    },
  )

  test.each(['evil.example', '10.0.0.1.evil.example:3003', '1.2.3', '[x]', '010.0.0.1', 'a@10.0.0.1'])(
    'refuses probes at the host %s, as a rebound name would be',
    async (host) => {
      const service = startService()
      for (const url of ['/health', '/health/live', '/health/ready', '/metrics']) {
        expect((await call(service, 'GET', url, undefined, { host })).statusCode, url).toBe(421)
      }
    },
  )

  test('refuses a foreign page that asks at an address', async () => {
    const headers = { host: '10.0.0.1', origin: 'https://evil.example' }
    expect((await call(startService(), 'GET', '/health', undefined, headers)).statusCode).toBe(403)
  })

  test.each(['https://evil.example', 'http://localhost:8080', 'null', 'http://localhost.evil.example'])(
    'refuses the origin %s',
    async (origin) => {
      const service = startService()
      const answer = await call(service, 'POST', '/incidents', aReport, { origin })
      expect(answer.json()).toMatchObject({ status: 403, type: '/problems/foreign-origin' })
      expect(service.ledger.records).toHaveLength(0)
    },
  )

  test.each(['http://localhost', 'https://ledger.example'])('lets the origin %s pass', async (origin) => {
    const service = startService({ publicOrigin: 'https://ledger.example' })
    expect((await call(service, 'POST', '/incidents', aReport, { origin })).statusCode).toBe(201)
  })
})

describe('access keys', () => {
  function entry(name: string, expiresAt?: string) {
    return { name, sha256: createHash('sha256').update(name).digest('hex'), scopes: ['read'], expiresAt }
  }
  const configured = { value: 'a key that opens everything', isDefault: false }
  const directory = { byDigest: () => undefined, byId: () => undefined, isCurrent: () => true }
  const options = { configured, directory, clock: () => 0, onError: () => {} }

  test('the default key may do everything but administer; one of the operator’s own may do that too', async () => {
    const byDefault = await openAccessKeys({ ...options, configured: { value: 'key', isDefault: true } })
    expect([...(byDefault.find('key')?.scopes ?? [])]).toEqual(['read', 'write', 'audit'])
    expect(byDefault.find('Key')).toBeUndefined()
    const own = await openAccessKeys(options)
    expect(own.find(configured.value)?.scopes).toContain('admin')
  })

  test('those of a file hold until they expire, are removed, or the file is gone', async () => {
    const path = await keyFile(JSON.stringify({ keys: [entry('ann'), entry('bob', '2026-02-01T00:00:00Z')] }))
    let nowMs = Date.parse('2026-01-31T23:59:59Z')
    const onError = vi.fn()
    const opened = await openAccessKeys({ ...options, keyFile: path, clock: () => nowMs, onError })
    onTestFinished(opened.close)
    expect(opened.find('ann')).toMatchObject({ id: 'ann', name: 'ann' })
    expect(opened.byId('bob')).toBeDefined()
    nowMs += 1_000
    expect(opened.find('bob')).toBeUndefined()
    expect(opened.byId('bob')).toBeUndefined()

    await writeFile(path, '{ not json')
    await vi.waitFor(() => expect(onError).toHaveBeenCalledTimes(1), 30_000)
    expect(opened.byId('ann')).toBeDefined()
    await writeFile(path, JSON.stringify({ keys: [entry('carl')] }))
    await vi.waitFor(() => expect(opened.byId('carl')).toBeDefined(), 30_000)
    expect(opened.find('ann')).toBeUndefined()
    await rm(path)
    await vi.waitFor(() => expect(opened.byId('carl')).toBeUndefined(), 30_000)
  }, 100_000)

  test.each([
    ['is no JSON', '{', /is not JSON/],
    ['has an unknown scope', JSON.stringify({ keys: [{ ...entry('a'), scopes: ['root'] }] }), /scopes/],
    ['has a key in clear', JSON.stringify({ keys: [{ ...entry('a'), sha256: 'key' }] }), /sha256/],
    ['has one name twice', JSON.stringify({ keys: [entry('a'), entry('a')] }), /name a/],
  ])('a file that %s is refused', async (_, text, message) => {
    const path = await keyFile(text)
    await expect(openAccessKeys({ ...options, keyFile: path })).rejects.toThrow(message)
  })

  async function keyFile(text: string): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'ledger-keys-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    const path = join(directory, 'keys.json')
    await writeFile(path, text)
    return path
  }
})

describe('the log', () => {
  test('has one line a request: the pattern, the caller, the outcome; no secret, no value', async () => {
    const service = startService()
    await call(service, 'POST', '/incidents', { ...aReport, description: 'a secret text' })
    await call(service, 'GET', '/incidents?q=confidential&assignee=ann', undefined, { 'x-request-id': 'r-7' })
    await call(service, 'GET', '/incidents', undefined, { 'x-access-key': 'a-wrong-key' })
    await call(service, 'GET', '/incidents/not-an-id')
    const text = JSON.stringify(service.lines)
    for (const secret of ['a secret text', 'confidential', 'ann', keys.all, 'a-wrong-key', 'not-an-id']) {
      expect(text).not.toContain(secret)
    }
    expect(service.lines).toMatchObject([
      { method: 'POST', route: '/incidents', status: 201, accessKey: 'all' },
      { method: 'GET', route: '/incidents', status: 200, accessKey: 'all', correlationId: 'r-7' },
      { method: 'GET', route: '/incidents', status: 401, audit: true },
      { method: 'GET', route: '/incidents/:id', status: 400 },
    ])
  })

  test('names the trace that a caller is in', async () => {
    const service = startService()
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await call(service, 'POST', '/incidents', aReport, { traceparent })
    await call(service, 'GET', '/incidents', undefined, { traceparent: 'none' })
    expect(service.lines.map(({ traceId }) => traceId)).toEqual([
      '0af7651916cd43dd8448eb211c80319c',
      undefined,
    ])
    expect(service.ledger.records[0]?.metadata.traceparent).toBe(traceparent)
  })

  test('marks reads of history and refusals as audit records', async () => {
    const service = startService()
    await call(service, 'GET', '/events')
    await call(service, 'GET', '/incidents', undefined, { host: 'evil.example' })
    await call(service, 'GET', '/stats')
    await call(service, 'GET', '/ledger/tile/entries/000')
    expect(service.lines.map(({ audit }) => audit)).toEqual([true, true, undefined, true])
  })
})
