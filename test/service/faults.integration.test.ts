/** What the service does while a part that it depends on is gone, and that it catches up by itself. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EventStoreProcess, startEventStoreProcess } from '../support/event-store.ts'
import { type ServiceProcess, startService } from '../support/service-process.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { waitFor } from '../support/wait-for.ts'

let data: TemporaryDirectory
let eventStore: EventStoreProcess
let service: ServiceProcess

beforeAll(async () => {
  data = await temporaryDirectory()
  eventStore = await startEventStoreProcess()
  service = await startService({
    DATA_DIR: data.path,
    EVENTSTORE_URL: eventStore.url,
    LEDGER_SECRET: 'a-secret-for-the-fault-tests-only',
  })
})

afterAll(async () => {
  await service?.stop()
  await eventStore?.close()
  await data?.remove()
})

const report = (description: string) => ({ body: { source: 'operator', description } })

test('event store gone: commands answer 503, current state and lists still answer, and all comes back', async () => {
  const created = await service.call('POST', '/incidents', report('before the event store went'))
  const path = created.headers.get('location') ?? ''
  await eventStore.kill()

  const refused = await service.call('PATCH', `${path}/status`, { body: { status: 'resolved' } })
  expect(refused.status).toBe(503)
  expect(refused.headers.get('content-type')).toContain('application/problem+json')
  expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
  expect((await service.call('GET', path)).body).toMatchObject({ revision: 0, status: 'new' })
  expect((await service.call('GET', '/incidents')).body.items).toHaveLength(1)
  expect((await service.call('GET', `${path}/history`)).status).toBe(503)
  await waitFor(
    async () => (await service.call('GET', '/health')).body.dependencies.eventStore.state !== 'ok',
    {
      describe: 'the service’s health tells of it',
    },
  )

  await eventStore.restart()
  const answer = await waitFor(
    async () => {
      const changed = await service.call('PATCH', `${path}/status`, { body: { status: 'resolved' } })
      return changed.status === 200 ? changed : undefined
    },
    { describe: 'commands are taken again' },
  )
  expect(answer.body).toMatchObject({ status: 'resolved', revision: 1 })
})

test('Postgres gone: commands append and answer pending, queries answer 503, and all catches up by itself', async () => {
  // Stopped, not killed: the embedded server would be started again at once.
  const pid = Number(
    (await readFile(join(data.path, 'postgres', 'cluster', 'postmaster.pid'), 'utf8')).split('\n')[0],
  )
  const servers = await descendantsOf(pid)
  for (const server of servers) process.kill(server, 'SIGSTOP')
  const created = await (async () => {
    try {
      const answer = await service.call('POST', '/incidents', report('while Postgres is gone'))
      expect(answer.status).toBe(201)
      expect(answer.headers.get('ledger-projection')).toBe('pending')
      const listed = await service.call('GET', '/incidents')
      expect(listed.status).toBe(503)
      expect(listed.headers.get('retry-after')).toMatch(/^\d+$/)
      return answer
    } finally {
      for (const server of servers) process.kill(server, 'SIGCONT')
    }
  })()

  const path = created.headers.get('location') ?? ''
  await waitFor(async () => (await service.call('GET', path)).status === 200, {
    describe: 'what was reported in the meantime is shown',
  })
})

/** A process and its children, as /proc or, elsewhere, ps tells. */
async function descendantsOf(pid: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid='])
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
  return [pid, ...rows.flatMap(([child, parent]) => (parent === pid && child !== undefined ? [child] : []))]
}
