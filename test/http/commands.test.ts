import { describe, expect, test } from 'vitest'
import { aReport, call, reported, startService } from './support/service.ts'

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

test('a change of status is recorded with its reason', async () => {
  const service = startService()
  const id = await reported(service)
  const answer = await call(service, 'PATCH', `/incidents/${id}/status`, {
    status: 'in_progress',
    reason: 'on it',
  })
  expect(answer.statusCode).toBe(200)
  expect(answer.headers.etag).toBe('"1"')
  expect(answer.json()).toMatchObject({ status: 'in_progress', revision: 1 })
})
