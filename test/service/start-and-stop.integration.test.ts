import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { accessKey, startService } from '../support/service-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const report = { source: 'monitoring', description: 'Disk of db-1 is full', labels: { host: 'db-1' } }

test('with a DATA_DIR and nothing else it serves, stops in order, and finds everything at the next start', async () => {
  await using data = await temporaryDirectory()
  await using service = await startService({ DATA_DIR: data.path })

  const created = await service.call('POST', '/incidents', { body: report })
  expect(created.status).toBe(201)
  const path = created.headers.get('location') ?? ''
  expect(await service.call('PATCH', `${path}/status`, { body: { status: 'in_progress' } })).toMatchObject({
    status: 200,
    body: { status: 'in_progress', revision: 1 },
  })
  const before = await service.call('GET', path)
  expect(before.body).toMatchObject({ title: report.description, labels: report.labels, revision: 1 })

  expect(await service.stop()).toBe(0)
  await service.start()

  expect(await service.call('GET', path)).toMatchObject({ status: 200, body: before.body })
  const noted = await service.call('POST', `${path}/notes`, { body: { text: 'back again' } })
  expect(noted.headers.get('ledger-projection')).toBeNull()
  const history = await service.call('GET', `${path}/history`)
  expect(history.body.items.map((event: { type: string }) => event.type)).toEqual([
    'IncidentReported',
    'IncidentStatusChanged',
    'IncidentNoteAdded',
  ])
  expect(service.output()).not.toContain(accessKey)
})

test('a bad setting stops the start with one clear line and exit code 1', async () => {
  const { PATH = '' } = process.env
  const child = spawn(process.execPath, ['src/main.ts'], { env: { PATH, PORT: 'many' } })
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  expect(stderr).toBe('incident-ledger cannot start: PORT must be a whole number\n')
  expect(code).toBe(1)
})

test('a second service on the same DATA_DIR attaches to the first one’s stores', async () => {
  await using data = await temporaryDirectory()
  await using first = await startService({ DATA_DIR: data.path })
  await using second = await startService({ DATA_DIR: data.path })

  const created = await second.call('POST', '/incidents', { body: report })
  expect(created.status).toBe(201)
  expect(created.headers.get('ledger-projection')).toBeNull()
  expect(await first.call('GET', created.headers.get('location') ?? '')).toMatchObject({ status: 200 })
})
