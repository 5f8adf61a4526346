import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { call, keys, startService } from './support/service.ts'

const host = 'localhost'
const wrong = { 'x-access-key': 'a-wrong-key' }

describe('wrong keys', () => {
  test('from one address are refused more cheaply after a while, and say when to come back', async () => {
    const service = startService({ limits: { refusalsPerMinute: 3, floodDelayMs: 0 } })
    const answers = []
    for (let n = 0; n < 6; n += 1) answers.push(await call(service, 'GET', '/incidents', undefined, wrong))
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([401, 401, 401, 429, 429, 429])
    const last = answers.at(-1)
    expect(last?.json()).toMatchObject({ type: '/problems/too-many-requests' })
    expect(Number(last?.headers['retry-after'])).toBeGreaterThan(0)
    expect(last?.headers).toMatchObject({ 'ratelimit-limit': '3', 'ratelimit-remaining': '0' })
  })

  test('keep out neither who has a key, nor other addresses, nor those who look at the health', async () => {
    const service = startService({ limits: { refusalsPerMinute: 1, floodDelayMs: 0 } })
    for (let n = 0; n < 4; n += 1) await call(service, 'GET', '/incidents', undefined, wrong)
    expect((await call(service, 'GET', '/incidents')).statusCode).toBe(200)
    expect((await call(service, 'GET', '/health', undefined, wrong)).statusCode).toBe(200)
    const elsewhere = await service.app.inject({
      url: '/incidents',
      headers: { host, ...wrong },
      remoteAddress: '10.1.2.3',
    })
    expect(elsewhere.statusCode).toBe(401)
  })

  test('in a flood are logged together', async () => {
    const service = startService({ limits: { refusalsPerMinute: 1, floodDelayMs: 0 } })
    for (let n = 0; n < 50; n += 1) await call(service, 'GET', '/incidents', undefined, wrong)
    await service.app.close()
    expect(service.lines.length).toBeLessThan(10)
    const flood = service.lines.filter(({ requests }) => typeof requests === 'number')
    const told = flood.reduce((sum, { requests }) => sum + Number(requests), 0)
    expect(told + service.lines.length - flood.length).toBe(50)
    expect(flood[0]).toMatchObject({
      audit: true,
      status: 429,
      addresses: { '127.0.0.1': expect.any(Number) },
    })
    expect(JSON.stringify(service.lines)).not.toContain('a-wrong-key')
  })

  test('are counted for whoever sent them through a proxy that is trusted', async () => {
    const service = startService({
      limits: { refusalsPerMinute: 1, floodDelayMs: 0 },
      trustedProxies: ['127.0.0.1'],
    })
    const from = (address: string) =>
      call(service, 'GET', '/incidents', undefined, { ...wrong, 'x-forwarded-for': address })
    for (let n = 0; n < 3; n += 1) await from('203.0.113.7')
    expect((await from('203.0.113.7')).statusCode).toBe(429)
    expect((await from('203.0.113.8')).statusCode).toBe(401)
  })

  test('are not counted for another address that a stranger names', async () => {
    const service = startService({ limits: { refusalsPerMinute: 1, floodDelayMs: 0 } })
    for (let n = 0; n < 3; n += 1) {
      await call(service, 'GET', '/incidents', undefined, { ...wrong, 'x-forwarded-for': `203.0.113.${n}` })
    }
    const last = await call(service, 'GET', '/incidents', undefined, {
      ...wrong,
      'x-forwarded-for': '203.0.113.9',
    })
    expect(last.statusCode).toBe(429)
  })

  test('as signatures count too, and block further ones before they are looked at', async () => {
    const service = startService({ limits: { refusalsPerMinute: 1, floodDelayMs: 0 } })
    const bad = { 'signature-input': 'sig=("@method");created=1', signature: 'sig=:AAAA:' }
    const statuses = []
    for (let n = 0; n < 3; n += 1) {
      statuses.push((await service.app.inject({ url: '/incidents', headers: { host, ...bad } })).statusCode)
    }
    expect(statuses).toEqual([401, 429, 429])
  })
})

test('a key that asks too often is told so, and each answer says how much is left', async () => {
  const service = startService({ limits: { requestsPerMinute: 2 } })
  const first = await call(service, 'GET', '/incidents')
  expect(first.headers).toMatchObject({ 'ratelimit-limit': '2', 'ratelimit-remaining': '1' })
  await call(service, 'GET', '/incidents')
  const third = await call(service, 'GET', '/incidents')
  expect(third.json()).toMatchObject({ status: 429, type: '/problems/too-many-requests' })
  expect(third.headers['retry-after']).toBe(third.headers['ratelimit-reset'])
  const other = await call(service, 'GET', '/incidents', undefined, { 'x-access-key': keys.reader })
  expect(other.statusCode).toBe(200)
  expect((await call(service, 'GET', '/health')).statusCode).toBe(200)
})

test('a process that is too busy says so at once, but for its health and metrics', async () => {
  const service = startService({ limits: { overloadDelayMs: 20 } })
  await service.app.ready()
  // Until the delay was measured: the event loop is kept busy, a little at a time.
  const refused = async () => {
    const until = Date.now() + 300
    while (Date.now() < until);
    await delay(0)
    return call(service, 'GET', '/incidents')
  }
  let answer = await refused()
  while (answer.statusCode !== 503) answer = await refused()
  expect(answer.json()).toMatchObject({ type: '/problems/overloaded' })
  expect(answer.headers['retry-after']).toBe('2')
  expect((await call(service, 'GET', '/health')).statusCode).toBe(200)
  expect((await call(service, 'GET', '/metrics')).statusCode).toBe(200)
})

test('what a browser shows has the headers that keep it from being misused', async () => {
  const service = startService()
  for (const url of ['/docs', '/problems']) {
    const { headers } = await service.app.inject({ url, headers: { host, accept: 'text/html' } })
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
    })
  }
})
