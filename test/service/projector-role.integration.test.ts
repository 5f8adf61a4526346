import { expect, test } from 'vitest'
import { accessKey, startService } from '../support/service-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

test('a process that only projects says how it is, and answers nothing else but problems', async () => {
  await using data = await temporaryDirectory()
  await using service = await startService({ DATA_DIR: data.path, ROLES: 'projector' })

  expect(await service.call('GET', '/health/live')).toMatchObject({ status: 200, body: { live: true } })
  expect(await service.call('GET', '/health')).toMatchObject({
    status: 200,
    body: { ready: true, dependencies: { eventStore: { state: 'ok' }, postgres: { state: 'ok' } } },
  })
  const metrics = await fetch(`${service.url}/metrics`, { headers: { 'x-access-key': accessKey } })
  expect(metrics.status).toBe(200)
  expect(await metrics.text()).toContain('ledger_announced_index')
  expect((await fetch(`${service.url}/metrics`)).status).toBe(401)

  const report = { source: 'operator', description: 'to nobody' }
  for (const [method, path] of [
    ['POST', '/incidents'],
    ['GET', '/incidents'],
    ['GET', '/events/stream'],
    ['GET', '/docs'],
    ['GET', '/openapi.json'],
    ['GET', '/access-keys'],
  ] as const) {
    const answer = await service.call(method, path, method === 'POST' ? { body: report } : {})
    expect(answer.headers.get('content-type'), path).toContain('application/problem+json')
    expect(answer.body, path).toMatchObject({ status: 404, type: '/problems/not-found' })
  }
  expect(await service.stop()).toBe(0)
})

test('a process without the projector serves what another one projects, each with a port of its own', async () => {
  await using data = await temporaryDirectory()
  await using projecting = await startService({ DATA_DIR: data.path, ROLES: 'projector' })
  await using serving = await startService({ DATA_DIR: data.path, ROLES: 'api' })

  const created = await serving.call('POST', '/incidents', { body: { source: 'operator', description: 'x' } })
  expect(created.status).toBe(201)
  expect(created.headers.get('ledger-projection')).toBeNull()
  expect((await projecting.call('GET', '/health')).body.dependencies.projector.role).toBe('leading')
})
