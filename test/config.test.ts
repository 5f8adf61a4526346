import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ConfigError, readConfig } from '../src/config.ts'

/** A root without `.env`, or with the one given. */
function root(env?: string) {
  const path = mkdtempSync(join(tmpdir(), 'incident-ledger-config-'))
  if (env !== undefined) writeFileSync(join(path, '.env'), env)
  return { root: path, workingDirectory: path }
}

function problemsOf(variables: NodeJS.Dict<string>, env?: string): string[] {
  try {
    readConfig(variables, root(env))
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n')
    throw error
  }
  return []
}

test('with nothing set, serves on loopback with the embedded parts', () => {
  const place = root()
  expect(readConfig({}, place)).toMatchObject({
    host: '127.0.0.1',
    port: 3003,
    dataDir: join(place.root, 'data'),
    accessKey: { value: 'key', isDefault: true },
    eventStoreUrl: undefined,
    databaseUrl: undefined,
    redisUrl: undefined,
    roles: new Set(['api', 'projector']),
  })
})

test('the environment comes before .env, and empty is unset', () => {
  const config = readConfig({ PORT: '4001', LOG_LEVEL: '' }, root('PORT=4000\nLOG_LEVEL=warn\n'))
  expect(config).toMatchObject({ port: 4001, logLevel: 'warn' })
})

test.each([
  ['PORT', { PORT: 'eighty' }, 'PORT must be a whole number'],
  ['PORT', { PORT: '65536' }, 'PORT must be between 0 and 65535'],
  ['ROLES', { ROLES: 'api,clerk' }, 'ROLES must be of api, projector'],
  [
    'DATABASE_URL',
    { DATABASE_URL: 'mysql://x' },
    'DATABASE_URL must be a URL that begins with postgres:// or postgresql://',
  ],
  ['PUBLIC_URL', { PUBLIC_URL: 'https://' }, 'PUBLIC_URL must be a URL that begins with http:// or https://'],
  ['LEDGER_PUBLIC', { LEDGER_PUBLIC: 'yes' }, 'LEDGER_PUBLIC must be true or false'],
])('a bad %s stops the start with one line that says what it must be', (_name, variables, line) => {
  expect(problemsOf(variables)).toEqual([line])
})

test('every wrong variable is named at once, and no value is shown', () => {
  const problems = problemsOf({ PORT: 'x', X_ACCESS_KEY: 'hunter2', LEDGER_SECRET: 'tooshort' })
  expect(problems).toHaveLength(3)
  expect(problems.join()).not.toMatch(/hunter2|tooshort/)
})

test('an unknown name in .env, or one that begins with LEDGER_, is taken for the mistake it is', () => {
  expect(problemsOf({}, 'EVENTSTOR_URL=esdb://x\n')).toEqual([expect.stringContaining('EVENTSTOR_URL')])
  expect(problemsOf({ LEDGER_SECRETS: 'x' })).toEqual([expect.stringContaining('LEDGER_SECRETS')])
})

test('the default access key works on a loopback address only', () => {
  expect(problemsOf({ HOST: '0.0.0.0' })).toEqual([expect.stringMatching(/^X_ACCESS_KEY must be set/)])
  expect(problemsOf({ HOST: '0.0.0.0', X_ACCESS_KEY: 'a'.repeat(24) })).toEqual([])
  expect(problemsOf({ HOST: '127.0.0.2' })).toEqual([])
})

test('an event store of one’s own needs the secret that belongs to it', () => {
  const eventStore = { EVENTSTORE_URL: 'esdb://127.0.0.1:2113?tls=false' }
  expect(problemsOf(eventStore)).toEqual([expect.stringMatching(/^LEDGER_SECRET must be set/)])
  expect(problemsOf({ ...eventStore, LEDGER_SECRET: 's'.repeat(32) })).toEqual([])
})

test('secrets carry versions, each its own', () => {
  const [older, newer] = ['o'.repeat(32), 'n'.repeat(32)]
  const config = readConfig({ LEDGER_SECRET: `2:${newer}`, LEDGER_SECRET_PREVIOUS: `1:${older}` }, root())
  expect(config.secret).toEqual({ version: 2, value: newer })
  expect(config.previousSecrets).toEqual([{ version: 1, value: older }])
  expect(problemsOf({ LEDGER_SECRET: newer, LEDGER_SECRET_PREVIOUS: older })).toHaveLength(1)
})
