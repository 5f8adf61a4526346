import { beforeEach, describe, expect, test } from 'vitest'
import { aReport, call, keys, reported, type Service, startService } from './support/service.ts'

let service: Service
beforeEach(() => {
  service = startService()
})

type Answer = Awaited<ReturnType<typeof call>>

/** The answer is this problem; `path` is among the fields it names. */
function expectProblem(answer: Answer, status: number, slug: string, path?: string): void {
  expect(answer.headers['content-type'], answer.body).toMatch(/^application\/problem\+json/)
  expect(answer.json(), answer.body).toMatchObject({ status, type: `/problems/${slug}` })
  expect(answer.statusCode).toBe(status)
  if (path !== undefined) {
    expect(
      answer.json().errors.map((error: { path: string }) => error.path),
      answer.body,
    ).toContain(path)
  }
}

describe('a body', () => {
  test.each([
    ['malformed', '{"description": '],
    ['empty', ''],
    ['no JSON', 'hello'],
    ['after a byte order mark', '\uFEFF{}'],
  ])('that is %s is a 400', async (_, body) => {
    expectProblem(await call(service, 'POST', '/incidents', body), 400, 'malformed-json')
  })

  test('that is not UTF-8 is a 400', async () => {
    const answer = await service.app.inject({
      method: 'POST',
      url: '/incidents',
      headers: { host: 'localhost', 'x-access-key': keys.all, 'content-type': 'application/json' },
      payload: Buffer.from([0x22, 0xff, 0x22]),
    })
    expectProblem(answer, 400, 'malformed-json')
  })

  test.each([
    ['text/plain', 'hello'],
    ['application/x-www-form-urlencoded', 'a=b'],
    ['application/xml', '<a/>'],
    ['application/jsonp', '{}'],
  ])('of the type %s is a 415', async (type, body) => {
    const answer = await call(service, 'POST', '/incidents', body, { 'content-type': type })
    expectProblem(answer, 415, 'unsupported-media-type')
  })

  test('of 10 MB is a 413 that says the limit', async () => {
    const answer = await call(service, 'POST', '/incidents', {
      ...aReport,
      description: 'x'.repeat(10_000_000),
    })
    expectProblem(answer, 413, 'body-too-large')
    expect(answer.json().limitBytes).toBe(1024 * 1024)
  })

  test('nested a hundred thousand levels deep is refused', async () => {
    const deep = `{"description":"x","source":"operator","labels":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    expectProblem(await call(service, 'POST', '/incidents', deep), 422, 'invalid-body', '/labels')
  })

  test.each([
    ['no description', { source: 'operator' }, '/description'],
    ['an unknown field', { ...aReport, urgency: 1 }, '/urgency'],
    ['an origin', { ...aReport, origin: 'me' }, '/origin'],
    ['a description of another type', { ...aReport, description: 7 }, '/description'],
    ['a blank description', { ...aReport, description: ' \n' }, '/description'],
    ['a long title', { ...aReport, title: 'x'.repeat(201) }, '/title'],
    ['an unknown source', { ...aReport, source: 'phone' }, '/source'],
    ['NUL', { ...aReport, description: 'a\u0000b' }, '/description'],
    ['a lone surrogate', { ...aReport, description: 'a\ud800b' }, '/description'],
    ['a time that is none', { ...aReport, occurredAt: '2026-02-30T25:00:00Z' }, '/occurredAt'],
    ['a time without a zone', { ...aReport, occurredAt: '2026-02-03T05:00:00' }, '/occurredAt'],
    ['a label that is no text', { ...aReport, labels: { team: 1 } }, '/labels/team'],
    ['a label name with a slash', { ...aReport, labels: { 'a/b': 'c' } }, '/labels/a~1b'],
    [
      'labels by the thousand',
      { ...aReport, labels: Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`l${n}`, 'v'])) },
      '/labels',
    ],
  ])('with %s is a 422 that names the field', async (_, body, path) => {
    expectProblem(await call(service, 'POST', '/incidents', body), 422, 'invalid-body', path)
  })

  test.each([
    ['/labels/__proto__', '{"description":"x","source":"operator","labels":{"__proto__":"x"}}'],
    ['/labels/__proto__', '{"description":"x","source":"operator","labels":{"\\u005f_proto__":"x"}}'],
    ['/__proto__', '{"description":"x","source":"operator","__proto__":{"a":"x"}}'],
  ])('with %s is a 422 that names it', async (path, body) => {
    expectProblem(await call(service, 'POST', '/incidents', body), 422, 'invalid-body', path)
  })

  test('that is absent is a 422', async () => {
    expectProblem(await call(service, 'POST', '/incidents'), 422, 'invalid-body', '')
  })

  test('with thousands of wrong names is answered with a few of them', async () => {
    const labels = Object.fromEntries(Array.from({ length: 3_000 }, (_, n) => [`bad name ${n}`, 'v']))
    const answer = await call(service, 'POST', '/incidents', { ...aReport, labels })
    expectProblem(answer, 422, 'invalid-body')
    expect(answer.json().errors.length).toBeLessThanOrEqual(32)
    expect(answer.body.length).toBeLessThan(16_000)
  })

  test('that would have begun in the future is a 422', async () => {
    const answer = await call(service, 'POST', '/incidents', {
      ...aReport,
      occurredAt: '2027-01-01T00:00:00Z',
    })
    expectProblem(answer, 422, 'occurred-in-future', '/occurredAt')
  })

  test('of a revision that sets the status is told where that is done', async () => {
    const id = await reported(service)
    const answer = await call(service, 'PATCH', `/incidents/${id}`, { status: 'closed' })
    expectProblem(answer, 422, 'invalid-body', '/status')
    expect(answer.json().detail).toContain('PATCH /incidents/{id}/status')
  })

  test('of a revision that changes nothing by name is a 422', async () => {
    const id = await reported(service)
    expectProblem(await call(service, 'PATCH', `/incidents/${id}`, {}), 422, 'invalid-body', '')
  })
})

describe('a path', () => {
  test.each([
    '/incidents/7',
    `/incidents/${'a'.repeat(500)}`,
    '/incidents/7/history',
    '/incidents/x/diff?from=0',
  ])('with an id that is no UUID is a 400: %s', async (url) => {
    expectProblem(await call(service, 'GET', url), 400, 'invalid-path', '/id')
  })

  test('that is not well-formed is a 400', async () => {
    expectProblem(await call(service, 'GET', '/incidents/%zz'), 400, 'malformed-request')
  })

  test('that nothing has is a 404', async () => {
    expectProblem(await call(service, 'GET', '/nothing/here'), 404, 'not-found')
  })

  test('of no incident is a 404', async () => {
    const url = '/incidents/01980d5e-5c00-7000-8000-5f0e1c2d3a4b'
    expectProblem(await call(service, 'GET', url), 404, 'incident-not-found')
    expectProblem(await call(service, 'GET', `${url}/history`), 404, 'incident-not-found')
    const change = await call(service, 'PATCH', `${url}/status`, { status: 'resolved' })
    expectProblem(change, 404, 'incident-not-found')
  })

  test('with a method that it does not take is a 405 that lists those it does', async () => {
    const answer = await call(service, 'DELETE', '/incidents')
    expectProblem(answer, 405, 'method-not-allowed')
    expect(answer.headers.allow).toBe('GET, HEAD, POST')
  })

  test('may end in a slash', async () => {
    expect((await call(service, 'GET', '/incidents/')).statusCode).toBe(200)
  })
})

describe('a query', () => {
  test.each([
    ['limit=0', '/limit'],
    ['limit=201', '/limit'],
    ['limit=ten', '/limit'],
    ['limit=1&limit=2', '/limit'],
    ['sort=title', '/sort'],
    ['status=open', '/status'],
    ['colour=red', '/colour'],
    ['label=team', '/label'],
    ['label=a%20b:c', '/label/a b'],
    ['from=yesterday', '/from'],
    ['q=', '/q'],
    ['__proto__=x', '/__proto__'],
    ['asOf=2026-01-01T00:00:00Z&knownAt=2026-01-01T00:00:00Z', '/knownAt'],
  ])('of ?%s is a 400 that names the parameter', async (query, path) => {
    expectProblem(await call(service, 'GET', `/incidents?${query}`), 400, 'invalid-query', path)
  })

  test('for a moment of the future is a 400', async () => {
    const id = await reported(service)
    for (const url of [
      '/incidents?asOf=2027-01-01T00:00:00Z',
      `/incidents/${id}?knownAt=2027-01-01T00:00:00Z`,
      `/incidents/${id}/diff?from=2027-01-01T00:00:00Z`,
      '/stats?asOf=2027-01-01T00:00:00Z',
    ]) {
      expectProblem(await call(service, 'GET', url), 400, 'moment-in-future')
    }
  })

  test('with a cursor that is forged, cut or of another list is a 400', async () => {
    await reported(service)
    await reported(service)
    const { nextCursor } = (await call(service, 'GET', '/incidents?limit=1')).json()
    expect((await call(service, 'GET', `/incidents?limit=1&cursor=${nextCursor}`)).statusCode).toBe(200)
    const [place, signature] = nextCursor.split('.', 2)
    for (const query of [
      `cursor=${nextCursor}&status=new`,
      `cursor=${nextCursor}&sort=reportedAt`,
      `cursor=${nextCursor}&asOf=2026-01-01T00:00:00Z`,
      `cursor=${nextCursor.slice(0, -3)}`,
      `cursor=${Buffer.from('{"at":"2026-01-01T00:00:00.000Z"}').toString('base64url')}.${signature}`,
      `cursor=${place}`,
      'cursor=x',
      'cursor=.',
    ]) {
      expectProblem(await call(service, 'GET', `/incidents?${query}`), 400, 'invalid-cursor', '/cursor')
    }
  })
})

describe('a header', () => {
  test.each(['3', 'W/"3"', '"three"', '"1", "2"', '""'])('If-Match: %s is a 400', async (value) => {
    const id = await reported(service)
    const answer = await call(
      service,
      'PATCH',
      `/incidents/${id}`,
      { severity: 'low' },
      { 'if-match': value },
    )
    expectProblem(answer, 400, 'invalid-header', '/if-match')
  })

  test.each(['""', 'x'.repeat(256), 'two words', '"open', 'schlüssel'])(
    'Idempotency-Key: %s is a 400',
    async (value) => {
      const answer = await call(service, 'POST', '/incidents', aReport, { 'idempotency-key': value })
      expectProblem(answer, 400, 'invalid-header', '/idempotency-key')
    },
  )

  test.each(['x', 'MTIz', '-1'])('Ledger-Position: %s is a 400', async (value) => {
    const answer = await call(service, 'GET', '/incidents', undefined, { 'ledger-position': value })
    expectProblem(answer, 400, 'invalid-header', '/ledger-position')
  })

  test('Last-Event-ID: abc is a 400', async () => {
    const answer = await call(service, 'GET', '/events/stream', undefined, { 'last-event-id': 'abc' })
    expectProblem(answer, 400, 'invalid-header', '/last-event-id')
  })
})
