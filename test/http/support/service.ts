/** The HTTP layer over a ledger in memory, with keys of each kind, a clock to turn and its log to read. */
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { onTestFinished } from 'vitest'
import { type AccessKey, type Scope, scopes } from '../../../src/http/access-key.ts'
import type { AccessKeys } from '../../../src/http/access-keys.ts'
import { buildApp } from '../../../src/http/app.ts'
import type { HealthReport, HttpDependencies } from '../../../src/http/dependencies.ts'
import { openKeyring } from '../../../src/ledger/keyring.ts'
import { inMemoryLedger, provisionalMs } from './in-memory-ledger.ts'

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

/** The service of one test; closed when the test ends. */
export function startService(changes: Partial<HttpDependencies> = {}) {
  let nowMs = Date.parse('2026-02-01T12:00:00.000Z')
  const clock = () => nowMs
  const ledger = inMemoryLedger(clock)
  const accessKeys = memoryKeys()
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
    accessKeys,
    health: async () => health,
    keyring: openKeyring({
      current: { version: 1, value: 'a secret of a test, long enough to be one' },
      previous: [],
    }),
    metrics: new Registry(),
    logger,
    hostNames: [],
    clock,
    version: '0.0.0-test',
    ...changes,
    limits: { provisionalMs, ...changes.limits },
  })
  onTestFinished(() => app.close())
  return {
    app,
    ledger,
    lines,
    accessKeys,
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

function memoryKeys(): AccessKeys & { readonly revoke: (key: keyof typeof keys) => void } {
  const held = new Map<string, AccessKey>()
  for (const [name, key] of Object.entries(keys)) {
    const { [name as keyof typeof keys]: scopes } = granted // entries widens the name
    held.set(key, { id: name, name, scopes: new Set(scopes), expiresAtMs: undefined })
  }
  return {
    find: (key) => held.get(key),
    holds: (id) => [...held.values()].some((key) => key.id === id),
    revoke: (name) => held.delete(keys[name]),
  }
}
