/** The HTTP layer with two routes that answer the same bytes, one of them open and one behind the door: what the door costs. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts'
import { openAccessKeys } from '../src/http/access-keys.ts'
import { buildApp } from '../src/http/app.ts'
import type { Nonces } from '../src/http/signed-requests/nonces.ts'
import { openNoncesInPostgres } from '../src/http/signed-requests/nonces-in-postgres.ts'
import { openNoncesInRedis } from '../src/http/signed-requests/nonces-in-redis.ts'
import { signingSecretsOf } from '../src/ledger/access-key-register.ts'
import { openKeyring } from '../src/ledger/keyring.ts'
import { migrate } from '../src/projections/database.ts'
import { inMemoryLedger } from '../test/http/support/in-memory-ledger.ts'
import { inMemoryNotary } from '../test/http/support/in-memory-notary.ts'
import { accessKey } from './processes.ts'

const [redisUrl] = process.argv.slice(2)
const signer = '0197a5c0-0000-7000-8000-000000000001'
const body = JSON.stringify({ id: signer, description: 'The volume grew by 3 GiB in an hour. '.repeat(10) })
const silent = pino({ level: 'silent' })

const dataDir = await mkdtemp(join(tmpdir(), 'incident-ledger-bench-'))
const postgres = await startEmbeddedPostgres({ dataDir })
await migrate(postgres.url)
const openNonces = () =>
  redisUrl ? openNoncesInRedis(redisUrl, silent) : openNoncesInPostgres(postgres.url, silent)
const nonces = openNonces()
const keyring = openKeyring({
  current: { version: 1, value: 'a secret for the bench only, of some length' },
  previous: [],
})
const issued = {
  status: 'active',
  id: signer,
  name: 'signer',
  digest: '',
  scopes: ['read'],
  expiresAt: null,
  requiresSignature: false,
  issuedAt: '',
  updatedAt: '',
  revision: 0,
} as never // the shape of a key that was issued
const directory = {
  byDigest: () => undefined,
  byId: (id: string) => (id === signer ? issued : undefined),
  isCurrent: () => true,
  all: () => [],
  shown: async () => {},
}
const accessKeys = await openAccessKeys({
  configured: { value: accessKey, isDefault: false },
  directory,
  clock: Date.now,
  onError: () => {},
})
const ledger = inMemoryLedger(Date.now)
const notary = inMemoryNotary(ledger)
const app = buildApp({
  ...ledger,
  entries: notary.entries,
  signedLog: notary.signedLog,
  ledgerPublic: false,
  accessKeys,
  register: {
    issue: () => Promise.reject(new Error('not in this bench')),
    revise: () => Promise.reject(new Error('not in this bench')),
    revoke: () => Promise.reject(new Error('not in this bench')),
  },
  directory,
  nonces,
  keyring,
  health: () => Promise.reject(new Error('not in this bench')),
  metrics: new Registry(),
  logger: silent,
  hostNames: [],
  clock: Date.now,
  version: 'bench',
  asyncApi: {},
})
for (const [path, access] of [
  ['/open', 'public'],
  ['/guarded', 'read'],
] as const) {
  app.get(path, { config: { access } }, (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(body),
  )
}
await app.listen({ host: '127.0.0.1', port: 0 })
const { port } = app.server.address() as AddressInfo
process.send?.({ port, keyId: signer, secret: signingSecretsOf(keyring, signer)[0] })
let another: Nonces | undefined
/** Another process that checks signatures, as far as the memory of nonces can tell. */
process.once('message', async () => {
  another = openNonces()
  // It keeps the first from having the memory to itself for longer than this bench takes. Until it is connected, it is refused.
  const isHeard = async () => {
    await setTimeout(100)
    return Promise.resolve(another?.use(signer, randomUUID(), Date.now(), 1_000)).catch(() => undefined)
  }
  while ((await isHeard()) === undefined);
  process.send?.('there is another')
})
process.once('SIGTERM', async () => {
  await app.close()
  await another?.close()
  await nonces.close()
  await postgres.close()
  await rm(dataDir, { recursive: true, force: true })
  process.disconnect?.()
})
