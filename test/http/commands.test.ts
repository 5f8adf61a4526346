import { describe, expect, test } from 'vitest'
import { LedgerError, type LedgerFault } from '../../src/ledger/errors.ts'
import { aReport, call, keys, reported, startService } from './support/service.ts'

describe('reporting an incident', () => {
  test('answers 201 with the incident, its place and its revision', async () => {
    const service = startService()
    const answer = await call(service, 'POST', '/incidents', { ...aReport, labels: { team: 'payments' } })
    expect(answer.statusCode).toBe(201)
    expect(answer.headers).toMatchObject({
      etag: '"0"',
      location: `/incidents/${answer.json().id}`,
      'ledger-position': expect.any(String),
    })
    expect(answer.headers['ledger-projection']).toBeUndefined()
    expect(answer.json()).toMatchObject({
      title: 'The checkout answers 502.',
      status: 'new',
      severity: 'medium',
      origin: 'access-key:all',
      labels: { team: 'payments' },
      revision: 0,
    })
  })

  test('answers with the bytes that a GET answers with, now and as of the revision', async () => {
    const service = startService()
    const labels = { 'a-long-name': '1', z: '2', a: '3' }
    const created = await call(service, 'POST', '/incidents', { ...aReport, labels })
    const url = `/incidents/${created.json().id}`
    expect(created.body).toBe((await call(service, 'GET', url)).body)
    const changed = await call(service, 'PATCH', url, { severity: 'low', labels: { b: '4' } })
    expect(changed.body).toBe((await call(service, 'GET', url)).body)
    expect((await call(service, 'GET', `${url}?revision=2`)).body).toBe(changed.body)
  })

  test('joins the open incident with the same external key', async () => {
    const service = startService()
    const report = { ...aReport, externalKey: 'alert-1' }
    const first = await call(service, 'POST', '/incidents', report)
    const second = await call(service, 'POST', '/incidents', report)
    expect(second.statusCode).toBe(200)
    expect(second.headers.location).toBe(first.headers.location)
    expect(service.ledger.records).toHaveLength(1)
  })
})

describe('changing an incident', () => {
  test('records a status with its reason', async () => {
    const service = startService()
    const url = `/incidents/${await reported(service)}/status`
    const answer = await call(service, 'PATCH', url, { status: 'in_progress', reason: 'on it' })
    expect(answer.statusCode).toBe(200)
    expect(answer.headers.etag).toBe('"1"')
    expect(answer.json()).toMatchObject({ status: 'in_progress', revision: 1 })
  })

  test('to what it is already is success, and records nothing', async () => {
    const service = startService()
    const answer = await call(service, 'PATCH', `/incidents/${await reported(service)}/status`, {
      status: 'new',
    })
    expect(answer.statusCode).toBe(200)
    expect(answer.headers.etag).toBe('"0"')
  })

  test('that is not legal is a 409 that says what is', async () => {
    const service = startService()
    const url = `/incidents/${await reported(service)}/status`
    const answer = await call(service, 'PATCH', url, { status: 'closed' })
    expect(answer.statusCode).toBe(409)
    expect(answer.json()).toMatchObject({
      type: '/problems/illegal-transition',
      from: 'new',
      to: 'closed',
      allowed: ['in_progress', 'on_hold', 'resolved'],
    })
  })

  test('merges labels and clears the assignee, as JSON or as a merge patch', async () => {
    const service = startService()
    const id = await reported(service, { ...aReport, assignee: 'Ann', labels: { a: '1', b: '2' } })
    const patch = { assignee: null, labels: { b: null, c: '3' } }
    const type = { 'content-type': 'application/merge-patch+json' }
    const answer = await call(service, 'PATCH', `/incidents/${id}`, patch, type)
    expect(answer.json()).toMatchObject({ assignee: null, labels: { a: '1', c: '3' }, revision: 2 })
    expect(answer.json().labels).not.toHaveProperty('b')
  })

  test('adds a note, also to a closed one', async () => {
    const service = startService()
    const id = await reported(service)
    for (const status of ['resolved', 'closed'])
      await call(service, 'PATCH', `/incidents/${id}/status`, { status })
    const answer = await call(service, 'POST', `/incidents/${id}/notes`, { text: 'a remark' })
    expect(answer.statusCode).toBe(200)
    expect(answer.headers.etag).toBe('"3"')
    const revised = await call(service, 'PATCH', `/incidents/${id}`, { severity: 'low' })
    expect(revised.json()).toMatchObject({ status: 409, type: '/problems/incident-closed' })
  })

  test('at another revision than If-Match names is a 412 that says which it has', async () => {
    const service = startService()
    const url = `/incidents/${await reported(service)}`
    const good = await call(service, 'PATCH', url, { severity: 'low' }, { 'if-match': '"0"' })
    expect(good.statusCode).toBe(200)
    const late = await call(service, 'PATCH', url, { severity: 'high' }, { 'if-match': '"0"' })
    expect(late.statusCode).toBe(412)
    expect(late.json()).toMatchObject({ expected: 0, actual: 1 })
    const any = await call(service, 'PATCH', url, { severity: 'high' }, { 'if-match': '*' })
    expect(any.statusCode).toBe(200)
  })
})

describe('an Idempotency-Key', () => {
  test.each(['a-key', '"a-key"'])('%s repeats the first answer', async (key) => {
    const service = startService()
    const headers = { 'idempotency-key': 'a-key' }
    const first = await call(service, 'POST', '/incidents', aReport, headers)
    await call(service, 'PATCH', `/incidents/${first.json().id}/status`, { status: 'resolved' })
    const again = await call(service, 'POST', '/incidents', aReport, { 'idempotency-key': key })
    expect(again.statusCode).toBe(201)
    expect(again.body).toBe(first.body)
    expect(again.headers.etag).toBe(first.headers.etag)
    expect(again.headers.location).toBe(first.headers.location)
  })

  test('with another request is a 422', async () => {
    const service = startService()
    const headers = { 'idempotency-key': 'a-key' }
    await call(service, 'POST', '/incidents', aReport, headers)
    const other = await call(service, 'POST', '/incidents', { ...aReport, severity: 'low' }, headers)
    expect(other.json()).toMatchObject({ status: 422, type: '/problems/idempotency-key-reused' })
  })

  test('is the same request with members in another order or defaults written out', async () => {
    const service = startService()
    const headers = { 'idempotency-key': 'a-key' }
    await call(service, 'POST', '/incidents', aReport, headers)
    const same = { source: 'monitoring', severity: 'medium', description: aReport.description }
    expect((await call(service, 'POST', '/incidents', same, headers)).statusCode).toBe(201)
  })

  test('is of one access key, route and incident', async () => {
    const service = startService()
    const id = await reported(service)
    const headers = { 'idempotency-key': 'a-key', 'x-access-key': keys.writer }
    await call(service, 'PATCH', `/incidents/${id}/status`, { status: 'resolved' }, headers)
    expect(service.ledger.contexts.at(-1)?.idempotency).toEqual({
      scope: 'writer',
      key: 'a-key',
      request: ['PATCH', '/incidents/:id/status', { id }, { status: 'resolved' }],
    })
  })
})

test('a command carries who asked, the request id and the trace', async () => {
  const service = startService()
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const answer = await call(service, 'POST', '/incidents', aReport, { 'x-request-id': 'r-1', traceparent })
  expect(answer.headers['x-request-id']).toBe('r-1')
  expect(service.ledger.contexts).toEqual([
    { actor: { kind: 'access-key', id: 'all', name: 'all' }, correlationId: 'r-1', traceparent },
  ])
  await call(service, 'POST', '/incidents', aReport, { traceparent: 'nonsense', 'x-request-id': 'a\tb' })
  expect(service.ledger.contexts[1]).not.toHaveProperty('traceparent')
  expect(service.ledger.contexts[1]?.correlationId).toMatch(/^[0-9a-f-]{36}$/)
})

describe('reading what one wrote', () => {
  test('a command that queries do not show in time says so, and is done all the same', async () => {
    const service = startService()
    service.ledger.hold()
    const answer = await call(service, 'POST', '/incidents', aReport)
    expect(answer.statusCode).toBe(201)
    expect(answer.headers['ledger-projection']).toBe('pending')
  })

  test('a query that sends a position shows at least that, or is a 503', async () => {
    const service = startService()
    service.ledger.hold()
    const written = await call(service, 'POST', '/incidents', aReport)
    const headers = { 'ledger-position': String(written.headers['ledger-position']) }
    const early = await call(service, 'GET', '/incidents', undefined, headers)
    expect(early.json()).toMatchObject({ status: 503, type: '/problems/position-not-reached' })
    expect(early.headers['retry-after']).toBe('1')
    service.ledger.release()
    const later = await call(service, 'GET', '/incidents', undefined, headers)
    expect(later.json().items).toHaveLength(1)
    expect(later.headers['ledger-position']).toBe(headers['ledger-position'])
  })
})

test.each<[number, LedgerFault]>([
  [409, { code: 'incident-full', limit: 10_000 }],
  [409, { code: 'incident-exists' }],
  [422, { code: 'too-many-labels', limit: 32 }],
  [503, { code: 'contended' }],
  [503, { code: 'outcome-unknown' }],
  [503, { code: 'event-store-unavailable', reason: 'connect ECONNREFUSED 10.0.0.1:2113' }],
  [503, { code: 'ledger-retired', to: 'esdb://ECONNREFUSED:2113' }],
  [500, { code: 'history-unreadable', stream: 'incident-1', revision: 3 }],
])('a fault of the ledger is a %i: $code', async (status, fault) => {
  const service = startService()
  service.ledger.failing.commands = new LedgerError(fault)
  const answer = await call(service, 'POST', '/incidents', aReport)
  expect(answer.json()).toMatchObject({ status, type: `/problems/${fault.code}` })
  expect(answer.headers['retry-after'] !== undefined).toBe(status === 503)
  expect(answer.body).not.toContain('ECONNREFUSED')
})

test('an error that should not happen is a 500 without detail, and the log has no message of it', async () => {
  const service = startService()
  service.ledger.failing.commands = new Error('duplicate key (email)=(ann@example.org)')
  const answer = await call(service, 'POST', '/incidents', aReport)
  expect(answer.json()).toMatchObject({ status: 500, type: '/problems/internal-error' })
  const text = JSON.stringify(service.lines) + answer.body
  expect(text).not.toContain('ann@example.org')
  expect(service.lines).toContainEqual(
    expect.objectContaining({ level: 50, name: 'Error', correlationId: answer.json().correlationId }),
  )
})
