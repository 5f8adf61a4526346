import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ConfigError, readConfig } from '../src/config.ts'

/** A root without `.env`, or with the one given. */
function root(env?: string) {
  const path = mkdtempSync(join(tmpdir(), 'incident-ledger-config-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
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
  ['30s', 30_000],
  ['15m', 900_000],
  ['', 86_400_000],
])('LEDGER_COMPARE_EVERY=%s is a time with its unit', (LEDGER_COMPARE_EVERY, ms) => {
  expect(readConfig({ LEDGER_COMPARE_EVERY }, root()).compareEveryMs).toBe(ms)
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
  [
    'LEDGER_COMPARE_EVERY',
    { LEDGER_COMPARE_EVERY: '1d' },
    'LEDGER_COMPARE_EVERY must be a whole number with its unit: 24h, 30m or 10s',
  ],
  ['LEDGER_COMPARE_EVERY', { LEDGER_COMPARE_EVERY: '501h' }, 'LEDGER_COMPARE_EVERY must be at most 500h'],
  ['LEDGER_PUBLIC', { LEDGER_PUBLIC: 'yes' }, 'LEDGER_PUBLIC must be true or false'],
  ['KAFKA_BROKERS', { KAFKA_BROKERS: 'kafka' }, 'KAFKA_BROKERS must be host:port, joined by commas'],
  [
    'KAFKA_SASL_MECHANISM',
    { KAFKA_SASL_MECHANISM: 'gssapi' },
    'KAFKA_SASL_MECHANISM must be plain, scram-sha-256 or scram-sha-512',
  ],
  [
    'KAFKA_TLS_CA_FILE',
    { KAFKA_TLS_CA_FILE: 'ca.pem' },
    'KAFKA_TLS_CA_FILE means nothing without KAFKA_TLS=true',
  ],
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

test('Kafka is reached with TLS and SASL as they are set, files from where the variable was set', () => {
  const variables = {
    KAFKA_BROKERS: 'one:9093, two:9093',
    KAFKA_TLS: 'true',
    KAFKA_TLS_CA_FILE: 'ca.pem',
    KAFKA_SASL_MECHANISM: 'scram-sha-512',
    KAFKA_SASL_USERNAME: 'ledger',
    KAFKA_SASL_PASSWORD: 'secret',
    KAFKA_TOPIC_PREFIX: 'prod.',
  }
  const place = root()
  expect(readConfig(variables, place).kafka).toEqual({
    brokers: ['one:9093', 'two:9093'],
    topicPrefix: 'prod.',
    tls: { caFile: join(place.root, 'ca.pem'), certificateFile: undefined, keyFile: undefined },
    sasl: { mechanism: 'scram-sha-512', username: 'ledger', password: 'secret' },
  })
  expect(readConfig({}, place).kafka).toBeUndefined()
})

test('a SASL mechanism without a name and a password, and a certificate without its key, stop the start', () => {
  const problems = problemsOf({
    KAFKA_SASL_MECHANISM: 'plain',
    KAFKA_TLS: 'true',
    KAFKA_TLS_CERTIFICATE_FILE: 'client.pem',
  })
  expect(problems).toEqual([
    'KAFKA_SASL_USERNAME must be set when KAFKA_SASL_MECHANISM is',
    'KAFKA_SASL_PASSWORD must be set when KAFKA_SASL_MECHANISM is',
    'KAFKA_TLS_KEY_FILE and KAFKA_TLS_CERTIFICATE_FILE must be set together',
  ])
})

test('a bot has a token and the chats that it listens to', () => {
  const token = `123456789:${'t'.repeat(35)}`
  const variables = {
    TELEGRAM_BOT_TOKEN: token,
    TELEGRAM_ALLOWED_CHATS: '-1001234567890, 42',
    TELEGRAM_API_ROOT: 'http://127.0.0.1:8081/',
  }
  expect(readConfig(variables, root()).telegram).toEqual({
    token,
    allowedChats: new Set([-1001234567890, 42]),
    apiRoot: 'http://127.0.0.1:8081',
  })
  expect(readConfig({}, root()).telegram).toBeUndefined()
  const problems = problemsOf({ TELEGRAM_BOT_TOKEN: 'hunter2', TELEGRAM_ALLOWED_CHATS: '@oncall' })
  expect(problems).toHaveLength(2)
  expect(problems.join()).not.toMatch(/hunter2/)
})
