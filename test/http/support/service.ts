/** The HTTP layer over a ledger in memory, with keys of each kind, a clock to turn and its log to read. */
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { onTestFinished } from 'vitest'
import { type AccessKey, type Scope, scopes } from '../../../src/http/access-key.ts'
import type { AccessKeys } from '../../../src/http/access-keys.ts'
import { buildApp } from '../../../src/http/app.ts'
import type { HealthReport, HttpDependencies } from '../../../src/http/dependencies.ts'
import type { Nonces } from '../../../src/http/signed-requests/nonces.ts'
import { openAccessKeyRegister } from '../../../src/ledger/access-key-register.ts'
import { openKeyring } from '../../../src/ledger/keyring.ts'
import { openAccessKeyDirectory } from '../../../src/projections/access-key-directory.ts'
import { openMemoryStore } from '../../ledger/support/memory-store.ts'
import { inMemoryLedger, provisionalMs } from './in-memory-ledger.ts'
import { inMemoryNotary } from './in-memory-notary.ts'

export const keys = {
  all: 'a-key-for-everything-000000000',
  reader: 'a-key-for-reading-0000000000000',
  writer: 'a-key-for-writing-0000000000000',
} as const

const granted: Readonly<Record<keyof typeof keys, readonly Scope[]>> = {
  all: scopes,
  reader: ['read'],
  writer: ['write'],
}

const keyring = openKeyring({
  current: { version: 1, value: 'a secret of a test, long enough to be one' },
  previous: [],
})

/** The service of one test; closed when the test ends. */
export function startService(changes: Partial<HttpDependencies> = {}) {
  let nowMs = Date.parse('2026-02-01T12:00:00.000Z')
  const clock = () => nowMs
  const ledger = inMemoryLedger(clock)
  const notary = inMemoryNotary(ledger)
  const accessKeys = memoryKeys()
  const { register, directory } = memoryRegister(clock)
  const lines: Record<string, unknown>[] = []
  const logger = pino(
    { level: 'trace' },
    new Writable({
      write(line, _encoding, done) {
        lines.push(JSON.parse(String(line)))
        done()
      },
    }),
  )
  let health = healthy
  const app = buildApp({
    incidents: ledger.incidents,
    history: ledger.history,
    queries: ledger.queries,
    announcements: ledger.announcements,
    entries: notary.entries,
    signedLog: notary.signedLog,
    ledgerPublic: false,
    accessKeys,
    register,
    directory,
    nonces: memoryNonces(),
    health: async () => health,
    keyring,
    metrics: new Registry(),
    logger,
    hostNames: [],
    clock,
    version: '0.0.0-test',
    asyncApi: { asyncapi: '3.1.0' },
    ...changes,
    // A slow machine is no busy service.
    limits: { provisionalMs, overloadDelayMs: 0, signingMs: 0, ...changes.limits },
  })
  onTestFinished(() => app.close())
  return {
    app,
    ledger,
    notary,
    lines,
    accessKeys,
    register,
    directory,
    /** Lets time pass. */
    pass: (ms: number) => {
      nowMs += ms
    },
    setHealth: (report: HealthReport) => {
      health = report
      nowMs += 1_000
    },
  }
}

export type Service = ReturnType<typeof startService>

export const healthy: HealthReport = {
  eventStore: { ok: true },
  readModel: {
    postgres: { ok: true },
    cache: { state: 'off' },
    projector: { state: 'leading', announcedIndex: 3, secondsSinceBeat: 0.1, unreadableEvents: 0 },
  },
  notary: {
    state: 'leading',
    signedSize: 4,
    unsignedEvents: 0,
    comparison: { compared: 4, isWhole: true, comparedAtMs: 0 },
  },
}

/** A request with the key that may do everything, as JSON where it has a body. */
export function call(
  { app }: Pick<Service, 'app'>,
  method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE' | 'HEAD',
  url: string,
  body?: unknown,
  headers: Record<string, string> = {},
) {
  return app.inject({
    method,
    url,
    headers: {
      host: 'localhost',
      'x-access-key': keys.all,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
}

export const aReport = { description: 'The checkout answers 502.', source: 'monitoring' }

/** Reports an incident and returns its id. */
export async function reported(service: Service, report: object = aReport): Promise<string> {
  const answer = await call(service, 'POST', '/incidents', report)
  return answer.json().id
}

/** Issued keys, over an event store in memory. */
function memoryRegister(clock: () => number) {
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const register = openAccessKeyRegister(openMemoryStore(), {
    keyring,
    clock,
    appendDeadlineMs: 1_000,
    log: pino({ level: 'silent' }),
    closing: stop.signal,
  })
  return { register, directory: openAccessKeyDirectory(register, stop.signal) }
}

function memoryNonces(): Pick<Nonces, 'use'> {
  const used = new Set<string>()
  return {
    use: async (keyId, nonce) => {
      const place = JSON.stringify([keyId, nonce])
      return !used.has(place) && used.add(place).size > 0
    },
  }
}

function memoryKeys(): AccessKeys & { readonly revoke: (key: keyof typeof keys) => void } {
  const held = new Map<string, AccessKey>()
  for (const [name, key] of Object.entries(keys)) {
    const { [name as keyof typeof keys]: scopes } = granted // entries widens the name
    held.set(key, {
      id: name,
      name,
      scopes: new Set(scopes),
      expiresAtMs: undefined,
      requiresSignature: false,
    })
  }
  return {
    find: (key) => held.get(key),
    byId: (id) => [...held.values()].find((key) => key.id === id),
    isCurrent: () => true,
    revoke: (name) => held.delete(keys[name]),
  }
}
