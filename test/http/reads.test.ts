import { describe, expect, test } from 'vitest'
import type { HealthReport } from '../../src/http/dependencies.ts'
import { ReadModelError } from '../../src/projections/read-model.ts'
import { provisionalMs } from './support/in-memory-ledger.ts'
import { aReport, call, healthy, keys, reported, startService } from './support/service.ts'

describe('an incident', () => {
  test('comes with its ETag, and not again while that holds', async () => {
    const service = startService()
    const url = `/incidents/${await reported(service)}`
    const answer = await call(service, 'GET', url)
    expect(answer.headers).toMatchObject({ etag: '"0"', 'cache-control': 'private, no-cache' })
    for (const known of ['"0"', 'W/"0"', '"7", "0"', '*']) {
      const again = await call(service, 'GET', url, undefined, { 'if-none-match': known })
      expect(again.statusCode, known).toBe(304)
      expect(again.headers.etag).toBe('"0"')
      expect(again.body).toBe('')
    }
    await call(service, 'PATCH', url, { severity: 'low' })
    expect((await call(service, 'GET', url, undefined, { 'if-none-match': '"0"' })).statusCode).toBe(200)
  })

  test('can be read as it was: by time, or by revision', async () => {
    const service = startService()
    const url = `/incidents/${await reported(service)}`
    service.pass(60_000)
    await call(service, 'PATCH', `${url}/status`, { status: 'in_progress' })
    service.pass(60_000)
    for (const moment of ['asOf=2026-02-01T12:00:30Z', 'knownAt=2026-02-01T12:00:30Z', 'revision=0']) {
      const answer = await call(service, 'GET', `${url}?${moment}`)
      expect(answer.json(), moment).toMatchObject({ status: 'new', revision: 0 })
      expect(answer.headers.etag).toBeUndefined()
      expect(answer.headers['ledger-provisional']).toBeUndefined()
    }
    for (const moment of ['asOf=2026-02-01T11:00:00Z', 'revision=2']) {
      const answer = await call(service, 'GET', `${url}?${moment}`)
      expect(answer.json(), moment).toMatchObject({ status: 404, type: '/problems/not-yet-reported' })
    }
  })

  test('at a moment that may still change is marked, and not to be kept', async () => {
    const service = startService()
    const url = `/incidents/${await reported(service)}`
    service.pass(1_000)
    const young = '2026-02-01T12:00:00.500Z'
    const paths = [
      ...['asOf', 'knownAt'].flatMap((moment) =>
        [url, '/incidents', '/stats'].map((path) => `${path}?${moment}=${young}`),
      ),
      `${url}/diff?from=0&to=${young}`,
      `${url}/diff?from=${young}`,
      `${url}/diff?from=${young}&timeLine=knownAt`,
    ]
    for (const path of paths) {
      const answer = await call(service, 'GET', path)
      expect(answer.statusCode, answer.body).toBe(200)
      expect(answer.headers, path).toMatchObject({
        'ledger-provisional': 'true',
        'cache-control': 'no-store',
      })
    }
    service.pass(provisionalMs)
    for (const path of paths) {
      expect((await call(service, 'GET', path)).headers['ledger-provisional'], path).toBeUndefined()
    }
  })

  test('that may still turn out to be after the report is marked too', async () => {
    const service = startService()
    const url = `/incidents/${await reported(service)}`
    for (const path of [`${url}?asOf=`, `${url}?knownAt=`, `${url}/diff?from=`]) {
      const answer = await call(service, 'GET', `${path}2026-02-01T11:59:59.500Z`)
      expect(answer.json()).toMatchObject({ status: 404, type: '/problems/not-yet-reported' })
      expect(answer.headers, path).toMatchObject({
        'ledger-provisional': 'true',
        'cache-control': 'no-store',
      })
    }
  })
})

describe('a list', () => {
  test('filters, sorts and pages', async () => {
    const service = startService()
    for (const severity of ['low', 'high', 'high', 'low', 'high']) {
      await reported(service, { ...aReport, severity, labels: { team: 'payments' } })
      service.pass(1_000)
    }
    const url =
      '/incidents?severity=high&label=team:payments&source=monitoring&q=checkout&sort=reportedAt&limit=2'
    const first = (await call(service, 'GET', url)).json()
    expect(first.items).toHaveLength(2)
    const second = (await call(service, 'GET', `${url}&cursor=${first.nextCursor}`)).json()
    expect(second.items).toHaveLength(1)
    expect(second.nextCursor).toBeNull()
    const times = [...first.items, ...second.items].map(({ reportedAt }) => reportedAt)
    expect(times).toEqual(times.toSorted())
    expect(new Set(times).size).toBe(3)
  })

  test('is built once while nothing new is announced, for whoever asks', async () => {
    const service = startService()
    await reported(service)
    await Promise.all([call(service, 'GET', '/incidents'), call(service, 'GET', '/incidents')])
    await call(service, 'GET', '/incidents', undefined, { 'x-access-key': keys.reader })
    expect(service.ledger.asked.incidents).toBe(1)
    await reported(service)
    expect((await call(service, 'GET', '/incidents')).json().items).toHaveLength(2)
    expect(service.ledger.asked.incidents).toBe(2)
  })

  test('is built each time while it is not certain what is announced', async () => {
    const service = startService()
    service.ledger.setFresh(false)
    await call(service, 'GET', '/incidents')
    const answer = await call(service, 'GET', '/incidents')
    expect(service.ledger.asked.incidents).toBe(2)
    expect(answer.headers['ledger-position']).toBeUndefined()
  })

  test('that could not be built is asked for again', async () => {
    const service = startService()
    service.ledger.failing.queries = new ReadModelError('query-timeout')
    expect((await call(service, 'GET', '/incidents')).statusCode).toBe(503)
    service.ledger.failing.queries = undefined
    expect((await call(service, 'GET', '/incidents')).statusCode).toBe(200)
  })
})

describe('a history', () => {
  test('tells who did what when, in pages, with each event’s place in the ledger', async () => {
    const service = startService()
    await reported(service)
    const id = await reported(service)
    for (const text of ['one', 'two']) await call(service, 'POST', `/incidents/${id}/notes`, { text })
    const first = (await call(service, 'GET', `/incidents/${id}/history?limit=2`)).json()
    expect(first.items).toMatchObject([
      { revision: 0, index: 1, type: 'IncidentReported', actor: { id: 'all' } },
      { revision: 1, index: 2, type: 'IncidentNoteAdded', data: { text: 'one' } },
    ])
    const second = (
      await call(service, 'GET', `/incidents/${id}/history?limit=2&cursor=${first.nextCursor}`)
    ).json()
    expect(second).toMatchObject({ items: [{ revision: 2, data: { text: 'two' } }], nextCursor: null })
  })

  test('answers without the read model, only without the places', async () => {
    const service = startService()
    const id = await reported(service)
    service.ledger.failing.queries = new ReadModelError('read-model-unavailable')
    const { items } = (await call(service, 'GET', `/incidents/${id}/history`)).json()
    expect(items).toMatchObject([{ revision: 0, index: null }])
  })
})

test('a difference tells field by field what changed, who did it last and when', async () => {
  const service = startService()
  const id = await reported(service, { ...aReport, labels: { a: '1', b: '2' } })
  service.pass(10_000)
  await call(service, 'PATCH', `/incidents/${id}`, { severity: 'high', labels: { a: null, c: '3' } })
  service.pass(10_000)
  await call(service, 'PATCH', `/incidents/${id}`, { severity: 'low' }, { 'x-access-key': keys.writer })
  await call(service, 'POST', `/incidents/${id}/notes`, { text: 'a remark' })
  service.pass(10_000)
  const answer = await call(service, 'GET', `/incidents/${id}/diff?from=2026-02-01T12:00:05Z`)
  expect(answer.json()).toMatchObject({ from: { revision: 0 }, to: { revision: 4 } })
  const changes = answer
    .json()
    .changes.toSorted((a: { path: string }, b: { path: string }) => (a.path < b.path ? -1 : 1))
  expect(changes).toEqual([
    { path: '/labels/a', from: '1', revision: 1, at: '2026-02-01T12:00:10.000Z', actor: actor('all') },
    { path: '/labels/c', to: '3', revision: 1, at: '2026-02-01T12:00:10.000Z', actor: actor('all') },
    {
      path: '/severity',
      from: 'medium',
      to: 'low',
      revision: 3,
      at: '2026-02-01T12:00:20.000Z',
      actor: actor('writer'),
    },
  ])
  expect(answer.json().notes).toMatchObject([{ text: 'a remark', revision: 4 }])
  const none = await call(service, 'GET', `/incidents/${id}/diff?from=3&to=4`)
  expect(none.json().changes).toEqual([])
  const backwards = await call(service, 'GET', `/incidents/${id}/diff?from=3&to=1`)
  expect(backwards.json()).toMatchObject({ status: 400, errors: [{ path: '/to' }] })
})

test('a difference tells what was appended while it was being made, if it is in the state that it compares with', async () => {
  const memory = startService()
  const id = await reported(memory)
  const { history } = memory.ledger
  const service = startService({
    history: {
      ...history,
      stateAt: async (incident, moment) => {
        if ('asOf' in moment) await call(memory, 'PATCH', `/incidents/${id}`, { severity: 'low' })
        return history.stateAt(incident, moment)
      },
    },
  })
  const answer = await call(service, 'GET', `/incidents/${id}/diff?from=0&to=2026-02-01T12:00:00Z`)
  expect(answer.json()).toMatchObject({
    to: { revision: 1 },
    changes: [{ path: '/severity', to: 'low', revision: 1 }],
  })
})

test('events across incidents can be filtered and paged in both directions', async () => {
  const service = startService()
  const ids = [await reported(service), await reported(service)]
  for (const id of ids) await call(service, 'PATCH', `/incidents/${id}/status`, { status: 'resolved' })
  const indexes = async (query: string) =>
    (await call(service, 'GET', `/events?${query}`)).json().items.map(({ index }: { index: number }) => index)
  expect(await indexes('')).toEqual([3, 2, 1, 0])
  expect(await indexes('sort=index&type=IncidentStatusChanged')).toEqual([2, 3])
  expect(await indexes(`incidentId=${ids[1]}`)).toEqual([3, 1])
  expect(await indexes('actorId=nobody')).toEqual([])
  const { nextCursor } = (await call(service, 'GET', '/events?limit=3')).json()
  expect(await indexes(`limit=3&cursor=${nextCursor}`)).toEqual([0])
})

test('the figures count what there is', async () => {
  const service = startService()
  await reported(service)
  expect((await call(service, 'GET', '/stats')).json()).toMatchObject({
    total: 1,
    byStatus: { new: 1, closed: 0 },
  })
})

describe('without the read model', () => {
  test('queries are a 503 with Retry-After, commands are still answered', async () => {
    const service = startService()
    const id = await reported(service)
    service.ledger.failing.queries = new ReadModelError('read-model-unavailable')
    for (const url of ['/incidents', `/incidents/${id}`, '/events', '/stats']) {
      const answer = await call(service, 'GET', url)
      expect(answer.json(), url).toMatchObject({ status: 503, type: '/problems/read-model-unavailable' })
      expect(answer.headers['retry-after']).toBe('2')
    }
    expect((await call(service, 'POST', '/incidents', aReport)).statusCode).toBe(201)
  })

  test.each(['', '?asOf=2026-02-01T11:00:00Z', '?knownAt=2026-02-01T11:00:00Z'])(
    'a list or figures (%s) that took too long are a 503 that says so',
    async (moment) => {
      const service = startService()
      service.ledger.failing.queries = new ReadModelError('query-timeout')
      for (const url of ['/incidents', '/stats']) {
        const answer = await call(service, 'GET', `${url}${moment}`)
        expect(answer.json(), url).toMatchObject({ status: 503, type: '/problems/query-timeout' })
        expect(answer.headers['retry-after']).toMatch(/^\d+$/)
      }
    },
  )
})

describe('health', () => {
  test('is ready while everything is there', async () => {
    const answer = await call(startService(), 'GET', '/health')
    expect(answer.json()).toMatchObject({
      live: true,
      ready: true,
      state: 'ok',
      serves: { commands: true, queries: true },
      lag: { announcedIndex: 3 },
    })
    expect(answer.headers['cache-control']).toBe('no-store')
  })

  test('says what is not, and why to those with a key only', async () => {
    const service = startService()
    const postgres = { ok: false, reason: 'connect ECONNREFUSED 10.0.0.1:5432' }
    service.setHealth({ ...healthy, readModel: { ...healthy.readModel, postgres } })
    const known = await call(service, 'GET', '/health')
    expect(known.json()).toMatchObject({ state: 'degraded', serves: { commands: true, queries: false } })
    expect(known.json().dependencies.postgres).toEqual({ state: 'down', reason: postgres.reason })
    const stranger = await service.app.inject({ url: '/health/ready', headers: { host: 'localhost' } })
    expect(stranger.json().dependencies.postgres).toEqual({ state: 'down' })
  })

  const down = { ok: false, reason: 'gone' }
  test.each([
    ['Postgres', { ...healthy, readModel: { ...healthy.readModel, postgres: down } }, 200, 'degraded'],
    ['the event store', { ...healthy, eventStore: down }, 200, 'degraded'],
    [
      'both',
      { ...healthy, eventStore: down, readModel: { ...healthy.readModel, postgres: down } },
      503,
      'down',
    ],
    ['a projector', projectorAs({ state: 'elsewhere', secondsSinceBeat: 60 }), 200, 'degraded'],
    ['a read model of this ledger', projectorAs({ state: 'stopped', secondsSinceBeat: 0 }), 503, 'down'],
  ])(
    'without %s keeps the traffic that is served, and lets nobody restart the process',
    async (_, report, status, state) => {
      const service = startService()
      service.setHealth(report)
      for (const url of ['/health', '/health/ready']) {
        const answer = await call(service, 'GET', url)
        expect(answer.statusCode, url).toBe(status)
        expect(answer.json()).toMatchObject({ live: true, ready: status === 200, state })
      }
      expect((await call(service, 'GET', '/health/live')).statusCode).toBe(200)
    },
  )

  function projectorAs(changes: Partial<HealthReport['readModel']['projector']>): HealthReport {
    const { readModel } = healthy
    return { ...healthy, readModel: { ...readModel, projector: { ...readModel.projector, ...changes } } }
  }
})

test('metrics count requests by route, and commands by what came of them', async () => {
  const service = startService()
  const id = await reported(service)
  await call(service, 'PATCH', `/incidents/${id}/status`, { status: 'closed' })
  const { body } = await call(service, 'GET', '/metrics')
  expect(body).toContain('ledger_commands_total{command="Report",outcome="created"} 1')
  expect(body).toContain('ledger_commands_total{command="ChangeStatus",outcome="illegal-transition"} 1')
  expect(body).toContain(
    'http_request_duration_seconds_count{method="PATCH",route="/incidents/:id/status",status="409"} 1',
  )
  expect(body).toContain('ledger_announced_index 3')
  expect(body).not.toContain(id)
})

describe('pages for people', () => {
  test('the docs need nothing from elsewhere', async () => {
    const service = startService()
    expect((await call(service, 'GET', '/')).headers.location).toBe('/docs')
    const page = await call(service, 'GET', '/docs')
    expect(page.headers['content-security-policy']).toMatch(
      /^default-src 'none'; script-src 'self'; style-src 'self' 'sha256-[\w+/]+=';/,
    )
    expect(page.headers['content-security-policy']).not.toMatch(/https:|unsafe|upgrade/)
    const assets = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link ?? '')
    expect(assets.length).toBeGreaterThan(3)
    for (const asset of assets) {
      expect(asset).not.toMatch(/^(https?:)?\/\//)
      expect((await call(service, 'GET', asset.replace(/^\.\//, '/docs/'))).statusCode, asset).toBe(200)
    }
    expect(page.body).not.toMatch(/<script>[^<]/)
  })

  test('every problem’s type is a page and a document', async () => {
    const service = startService()
    const all = (await call(service, 'GET', '/problems')).json()
    for (const { type, title } of all) {
      expect((await call(service, 'GET', type)).json()).toMatchObject({ type, title })
      const page = await call(service, 'GET', type, undefined, { accept: 'text/html' })
      expect(page.headers['content-type']).toMatch(/^text\/html/)
      expect(page.body).toContain(title)
    }
    expect((await call(service, 'GET', '/problems/none')).statusCode).toBe(404)
  })
})

const actor = (id: string) => ({ kind: 'access-key', id, name: id })
