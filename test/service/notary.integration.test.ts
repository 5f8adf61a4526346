import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { expect, test } from 'vitest'
import { hashOfLeaf, provesConsistency, provesInclusion } from '../../src/audit/merkle.ts'
import { tilePath } from '../../src/audit/tiles.ts'
import { type ServiceProcess, startService } from '../support/service-process.ts'
import { checkpointOver, fetched, newestCheckpoint, rootOf, servedEntries } from '../support/signed-ledger.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { waitFor } from '../support/wait-for.ts'

const report = { source: 'monitoring', description: 'Disk of db-1 is full' }

test('what happened is signed within moments, and proven to whoever has the public key', async () => {
  await using data = await temporaryDirectory()
  await using service = await startService({ DATA_DIR: data.path })
  const path = await reported(service)
  await service.call('PATCH', `${path}/status`, { body: { status: 'in_progress', reason: 'looking' } })

  const { body: bundle, status } = await service.call('GET', `${path}/proof`)
  expect(status, JSON.stringify(bundle)).toBe(200)
  const { size, root, origin, note } = await newestCheckpoint(service)
  expect(bundle).toMatchObject({ format: 'incident-ledger/bundle@1', note })
  expect(bundle.events).toHaveLength(2)
  for (const { index, entry, proof } of bundle.events) {
    const hashes = proof.map((hash: string) => Buffer.from(hash, 'base64'))
    expect(provesInclusion(hashOfLeaf(Buffer.from(entry)), index, size, hashes, root)).toBe(true)
  }
  expect(JSON.parse(bundle.events[0].entry)).toMatchObject({
    stream: `incident-${path.slice(11)}`,
    revision: 0,
  })
  expect(bundle.events[0].entry).not.toContain('Disk')
  expect(bundle.events[0].disclosures.description.value).toBe(report.description)
  expect(origin).toMatch(/^incident-ledger\//)
  expect(rootOf(await servedEntries(service, size))).toEqual(root)
  expect((await stat(join(data.path, 'signing-key'))).mode & 0o777).toBe(0o600)
})

test('through kill -9 and a loss of all that Postgres had, every note ever signed is met', async () => {
  await using data = await temporaryDirectory()
  await using service = await startService({ DATA_DIR: data.path })
  for (let n = 0; n < 3; n += 1) {
    await reported(service)
    await checkpointOver(service, n + 1)
  }
  const before = await newestCheckpoint(service)
  await service.kill()
  await service.start()
  await reported(service)
  const after = await checkpointOver(service, before.size + 1)
  const consistency = await service.call('GET', `/ledger/consistency?from=${before.size}&to=${after.size}`)
  const proof = consistency.body.proof.map((hash: string) => Buffer.from(hash, 'base64'))
  expect(provesConsistency(before, after, proof)).toBe(true)

  const notes = (await service.call('GET', '/ledger/checkpoints')).body.items
  expect(notes.map((item: { size: number }) => item.size)).toEqual([1, 2, 3, 4])
  await forgetTiles(data.path)
  await service.kill()
  await service.start()
  await reported(service)
  const anew = await checkpointOver(service, after.size + 1)
  expect(rootOf(await servedEntries(service, anew.size))).toEqual(anew.root)
  expect((await service.call('GET', '/ledger/checkpoints')).body.items.slice(0, 4)).toEqual(notes)
})

test('of two processes one signs; the other takes over, and no size is signed twice', async () => {
  await using data = await temporaryDirectory()
  const environment = { DATA_DIR: data.path }
  await using first = await startService(environment)
  const databaseUrl = await databaseOf(data.path)
  const { eventStoreUrl } = JSON.parse(await readFile(join(data.path, 'attach.json'), 'utf8'))
  const other = await temporaryDirectory()
  await using _ = { [Symbol.asyncDispose]: () => other.remove() }
  const keys = {
    LEDGER_SECRET: await readFile(join(data.path, 'ledger-secret'), 'utf8').then((text) => text.trim()),
    LEDGER_SIGNING_KEY: await readFile(join(data.path, 'signing-key'), 'utf8').then((text) => text.trim()),
  }
  await using second = await startService({
    DATA_DIR: other.path,
    EVENTSTORE_URL: eventStoreUrl,
    DATABASE_URL: databaseUrl,
    ...keys,
  })
  await reported(first)
  await checkpointOver(second, 1)
  await endLeader(databaseUrl)
  await reported(second)
  await checkpointOver(first, 2)
  await endLeader(databaseUrl)
  await reported(first)
  const { size, root } = await checkpointOver(second, 3)
  expect(rootOf(await servedEntries(second, size))).toEqual(root)
  const sizes = (await first.call('GET', '/ledger/checkpoints')).body.items.map(
    (item: { size: number }) => item.size,
  )
  expect(sizes).toEqual([...new Set(sizes)].toSorted((a, b) => Number(a) - Number(b)))
})

test('a key is rotated by a note that both keys sign; without the key before, nothing is signed over its notes', async () => {
  await using data = await temporaryDirectory()
  await using service = await startService({ DATA_DIR: data.path })
  await reported(service)
  const old = await checkpointOver(service, 1)
  await service.stop()
  const previous = (await readFile(join(data.path, 'signing-key'), 'utf8')).trim()
  const rotated = { DATA_DIR: data.path, LEDGER_SIGNING_KEY: Buffer.alloc(32, 1).toString('base64url') }
  {
    await using stranger = await startService(rotated)
    await waitFor(async () => (await notaryOf(stranger)).role === 'stopped', { describe: 'the notary stops' })
    expect((await notaryOf(stranger)).reason).toContain('signed under another key')
  }
  await using successor = await startService({ ...rotated, LEDGER_SIGNING_KEY_PREVIOUS: previous })
  await reported(successor)
  const { note } = await checkpointOver(successor, old.size + 1)
  expect(note.split('\n').filter((line) => line.startsWith('— '))).toHaveLength(2)
  expect((await (await fetched(successor, '/ledger/key')).text()).trimEnd().split('\n')).toHaveLength(2)
})

test('tiles are served as they were, at every width that was signed, and never wider than that', async () => {
  await using data = await temporaryDirectory()
  await using service = await startService({ DATA_DIR: data.path, LEDGER_PUBLIC: 'true' })
  for (let n = 0; n < 3; n += 1) await reported(service)
  await checkpointOver(service, 3)
  const tile = async (width: number) =>
    fetch(`${service.url}/ledger/${tilePath({ level: 0, index: 0, width })}`)
  const three = Buffer.from(await (await tile(3)).arrayBuffer())
  expect(three).toHaveLength(96)
  expect(Buffer.from(await (await tile(2)).arrayBuffer())).toEqual(three.subarray(0, 64))
  expect((await tile(3)).headers.get('cache-control')).toContain('public')
  expect((await tile(4)).status).toBe(404)
  expect((await tile(256)).status).toBe(404)
  expect((await fetch(`${service.url}/incidents`)).status).toBe(401)
})

async function reported(service: ServiceProcess): Promise<string> {
  const created = await service.call('POST', '/incidents', { body: report })
  expect(created.status).toBe(201)
  return created.headers.get('location') ?? ''
}

async function notaryOf(service: ServiceProcess) {
  return (await service.call('GET', '/health')).body.dependencies.notary
}

async function databaseOf(dataDir: string): Promise<string> {
  return JSON.parse(await readFile(join(dataDir, 'attach.json'), 'utf8')).databaseUrl
}

/** As where Postgres began anew; the newest note is kept in a file, too. */
async function forgetTiles(dataDir: string): Promise<void> {
  await query(await databaseOf(dataDir), [
    'TRUNCATE ledger.tile, ledger.entry_bundle, ledger.newest_note',
    'UPDATE ledger.notary SET index = -1, commit = -1, prepare = -1, event_id = NULL, notes_met = 0',
  ])
}

async function endLeader(databaseUrl: string): Promise<void> {
  await query(databaseUrl, [
    `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
     AND (classid::bigint << 32 | objid::bigint) = hashtextextended('incident ledger: projection notary', 0)`,
  ])
}

async function query(databaseUrl: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client(databaseUrl)
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}
