/**
 * The configuration: the only reader of the environment. Names come from the environment and, where it is silent, from the
 * file `.env` beside package.json. Empty means unset. `.env.example` documents each for operators.
 */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'
import { z } from 'zod'
import type { KafkaSettings } from './integrations/kafka/connection.ts'

/** Where package.json lies, from src/ and from dist/ alike. */
export const projectRoot = fileURLToPath(new URL('..', import.meta.url))

const defaultAccessKey = 'key'
const minimumKeyLength = 24
const minimumSecretLength = 32

const url = (...protocols: string[]) =>
  z
    .string()
    .refine(
      (value) => URL.canParse(value) && protocols.some((protocol) => value.startsWith(`${protocol}://`)),
      `must be a URL that begins with ${protocols.map((protocol) => `${protocol}://`).join(' or ')}`,
    )

const wholeNumber = (minimum: number, maximum: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, `must be between ${minimum} and ${maximum}`)

const flag = z
  .enum(['true', 'false', '1', '0'], { error: 'must be true or false' })
  .transform((value) => value === 'true' || value === '1')

/** `[version:]value`; the version counts up with each rotation and is 1 where none is given. */
const secret = z
  .string()
  .regex(
    new RegExp(`^(\\d{1,6}:)?.{${minimumSecretLength},}$`),
    `must have at least ${minimumSecretLength} characters, after its version and a colon if it has one`,
  )
  .transform((text) => {
    const [, version, value] = /^(?:(\d{1,6}):)?(.*)$/.exec(text) ?? []
    return { version: Number(version ?? 1), value: value ?? text }
  })
export type Secret = z.output<typeof secret>

/** 32 bytes in base64url. */
const signingKeyForm = /^[A-Za-z0-9_-]{43}$/
const verifierKeyForm = /^[^\s+,]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+={0,2}$/

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 }
/** Node's timers take no more than 2^31 − 1. */
const longestTimerMs = 500 * 3_600_000

const roleNames = ['api', 'projector'] as const
export type Role = (typeof roleNames)[number]

const list = (value: string) =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

const kafkaFiles = ['KAFKA_TLS_CA_FILE', 'KAFKA_TLS_CERTIFICATE_FILE', 'KAFKA_TLS_KEY_FILE'] as const

const environment = z
  .object({
    /** Address to listen on. Anything but a loopback address needs an X_ACCESS_KEY of your own. */
    HOST: z.string().default('127.0.0.1'),
    PORT: wholeNumber(0, 65_535).default(3003),
    /** How callers reach the service from outside: its host is accepted in Host and Origin, its base is used in links. */
    PUBLIC_URL: url('http', 'https').optional(),
    /** Where the embedded parts keep their state, and the secret that was made at first start. */
    DATA_DIR: z.string().optional(),
    /** The one configured access key. */
    X_ACCESS_KEY: z.string().default(defaultAccessKey),
    /** A JSON file of further access keys, hashed: see docs/api.md. */
    ACCESS_KEYS_FILE: z.string().optional(),
    /** Requests a minute that one access key may make, for all processes together where there is Redis. Unset: no limit. */
    RATE_LIMIT: wholeNumber(1, 100_000_000).optional(),
    /** Addresses or networks of proxies, joined by commas, whose X-Forwarded-For says where a request comes from. */
    TRUSTED_PROXIES: z
      .string()
      .transform(list)
      .pipe(
        z.array(
          z.string().refine(isNetwork, 'must be addresses or networks such as 10.0.0.0/8, joined by commas'),
        ),
      )
      .default([]),
    /** EventStoreDB. Unset: the embedded node, under DATA_DIR. */
    EVENTSTORE_URL: url('esdb', 'esdb+discover', 'kurrentdb', 'kurrentdb+discover').optional(),
    /** Postgres. Unset: the embedded one, under DATA_DIR. */
    DATABASE_URL: url('postgres', 'postgresql').optional(),
    /** Redis. Unset: a cache within the process that leads the projection. */
    REDIS_URL: url('redis', 'rediss').optional(),
    /** Kafka: host:port of some of its brokers, joined by commas. Unset: nothing is published, and no reports come in that way. */
    KAFKA_BROKERS: z
      .string()
      .transform(list)
      .pipe(z.array(z.string().regex(/^[^\s:/]+:\d{1,5}$/, 'must be host:port, joined by commas')))
      .default([]),
    /** Before the names of topics, groups and transactional ids, so that several ledgers can share a cluster. */
    KAFKA_TOPIC_PREFIX: z
      .string()
      .regex(/^[a-zA-Z0-9._-]{1,100}$/, 'must be 1 to 100 characters of a-z A-Z 0-9 . _ -')
      .optional(),
    /** The brokers speak TLS. Files are PEM; without KAFKA_TLS_CA_FILE the system's authorities hold. */
    KAFKA_TLS: flag.default(false),
    KAFKA_TLS_CA_FILE: z.string().optional(),
    /** The certificate that this client shows, and its key. */
    KAFKA_TLS_CERTIFICATE_FILE: z.string().optional(),
    KAFKA_TLS_KEY_FILE: z.string().optional(),
    KAFKA_SASL_MECHANISM: z
      .enum(['plain', 'scram-sha-256', 'scram-sha-512'], {
        error: 'must be plain, scram-sha-256 or scram-sha-512',
      })
      .optional(),
    KAFKA_SASL_USERNAME: z.string().optional(),
    KAFKA_SASL_PASSWORD: z.string().optional(),
    /** Of the Telegram bot, as @BotFather tells it. Unset: no bot. */
    TELEGRAM_BOT_TOKEN: z
      .string()
      .regex(
        /^\d{1,15}:[\w-]{16,255}$/,
        'must be a token as @BotFather tells it: a number, a colon and a secret',
      )
      .optional(),
    /** The chats that the bot listens to, by their numbers, joined by commas; a group's is negative. */
    TELEGRAM_ALLOWED_CHATS: z
      .string()
      .transform(list)
      .pipe(
        z.array(
          z
            .string()
            .regex(/^-?\d{1,15}$/, 'must be numbers of chats, joined by commas')
            .transform(Number),
        ),
      )
      .default([]),
    /** Where the Bot API is. */
    TELEGRAM_API_ROOT: url('http', 'https')
      .transform((value) => value.replace(/\/+$/, ''))
      .default('https://api.telegram.org'),
    /** What all derived keys come from. Unset: made at first start under DATA_DIR; required with EVENTSTORE_URL. */
    LEDGER_SECRET: secret.optional(),
    /** Earlier secrets, each with its version, joined by commas. */
    LEDGER_SECRET_PREVIOUS: z.string().transform(list).pipe(z.array(secret)).default([]),
    /** What the notary signs with: 32 bytes in base64url. Unset: made at first start under DATA_DIR. */
    LEDGER_SIGNING_KEY: z
      .string()
      .regex(signingKeyForm, 'must be 32 bytes in base64url: 43 characters')
      .optional(),
    /** Signing keys that were in use before; as verifier keys where they are to sign no more. */
    LEDGER_SIGNING_KEY_PREVIOUS: z
      .string()
      .transform(list)
      .pipe(
        z.array(
          z
            .string()
            .refine(
              (key) => signingKeyForm.test(key) || verifierKeyForm.test(key),
              'must be signing keys of 43 characters or verifier keys as /ledger/key gives them, joined by commas',
            ),
        ),
      )
      .default([]),
    /** From the end of one comparison of the whole ledger with what was signed to the next: 24h, 30m, 10s. */
    LEDGER_COMPARE_EVERY: z
      .string()
      .regex(/^[1-9]\d{0,4}[smh]$/, 'must be a whole number with its unit: 24h, 30m or 10s')
      .default('24h')
      .transform((text) => Number(text.slice(0, -1)) * (unitMs[text.slice(-1)] ?? 0))
      .refine((ms) => ms <= longestTimerMs, 'must be at most 500h'),
    /** Opens what carries no secret to callers without a key. */
    LEDGER_PUBLIC: flag.default(false),
    /** What this process does: `api` serves HTTP, `projector` builds the read model. */
    ROLES: z
      .string()
      .transform(list)
      .pipe(z.array(z.enum(roleNames, { error: `must be of ${roleNames.join(', ')}` })).min(1))
      .default([...roleNames]),
    LOG_LEVEL: z
      .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
        error: 'must be fatal, error, warn, info, debug, trace or silent',
      })
      .default('info'),
    /** `pretty` is for people, `json` for machines: one object a line. */
    LOG_FORMAT: z.enum(['pretty', 'json'], { error: 'must be pretty or json' }).default('pretty'),
  })
  .superRefine((variables, context) => {
    const refuse = (name: string, message: string) =>
      context.addIssue({ code: 'custom', path: [name], message })
    const key = variables.X_ACCESS_KEY
    if (key === defaultAccessKey) {
      if (!isLoopback(variables.HOST)) {
        refuse(
          'X_ACCESS_KEY',
          `must be set when HOST is not a loopback address: its default works on loopback only`,
        )
      }
    } else if (key.length < minimumKeyLength) {
      refuse(
        'X_ACCESS_KEY',
        `must have at least ${minimumKeyLength} characters, or be unset on a loopback HOST`,
      )
    }
    if (variables.EVENTSTORE_URL && !variables.LEDGER_SECRET) {
      refuse('LEDGER_SECRET', 'must be set when EVENTSTORE_URL is: it belongs to that store for good')
    }
    if (variables.KAFKA_SASL_MECHANISM) {
      for (const name of ['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'] as const) {
        if (!variables[name]) refuse(name, 'must be set when KAFKA_SASL_MECHANISM is')
      }
    }
    if (!variables.KAFKA_TLS) {
      for (const name of kafkaFiles) if (variables[name]) refuse(name, 'means nothing without KAFKA_TLS=true')
    }
    if (!variables.KAFKA_TLS_CERTIFICATE_FILE !== !variables.KAFKA_TLS_KEY_FILE) {
      refuse('KAFKA_TLS_KEY_FILE', 'and KAFKA_TLS_CERTIFICATE_FILE must be set together')
    }
    const versions = [variables.LEDGER_SECRET, ...variables.LEDGER_SECRET_PREVIOUS].flatMap(
      (one) => one?.version ?? [],
    )
    if (new Set(versions).size !== versions.length) {
      refuse('LEDGER_SECRET_PREVIOUS', 'must give each secret a version of its own, as in 1:the-older-secret')
    }
  })

export interface Config {
  readonly host: string
  readonly port: number
  readonly publicUrl: URL | undefined
  readonly dataDir: string
  readonly accessKey: { readonly value: string; readonly isDefault: boolean }
  readonly accessKeysFile: string | undefined
  readonly requestsPerMinute: number | undefined
  readonly trustedProxies: readonly string[]
  readonly eventStoreUrl: string | undefined
  readonly databaseUrl: string | undefined
  readonly redisUrl: string | undefined
  readonly kafka: KafkaSettings | undefined
  /** Absent: no bot. */
  readonly telegram:
    | {
        readonly token: string
        readonly allowedChats: ReadonlySet<number>
        /** Without a slash at its end. */
        readonly apiRoot: string
      }
    | undefined
  readonly secret: Secret | undefined
  readonly previousSecrets: readonly Secret[]
  readonly signingKey: string | undefined
  readonly previousSigningKeys: readonly string[]
  readonly compareEveryMs: number
  readonly ledgerPublic: boolean
  readonly roles: ReadonlySet<Role>
  readonly logLevel: string
  readonly logFormat: 'pretty' | 'json'
}

/** What is wrong with the configuration, a line each: the name, and what it must be. Never the value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** For docker-compose.yml only; allowed in `.env`, of no meaning here. */
const composeNames = /^(COMPOSE_|EVENTSTORE_IMAGE$|POSTGRES_|REDIS_PASSWORD$|KAFKA_IMAGE$|REDIS_IMAGE$)/

/**
 * Reads and checks the configuration. Relative paths are taken from the working directory, those in `.env` from where it lies.
 * @throws ConfigError naming every variable that is wrong, unknown names in `.env` and unknown `LEDGER_…` names included.
 */
export function readConfig(
  variables: NodeJS.ProcessEnv = process.env,
  { root = projectRoot, workingDirectory = process.cwd() } = {},
): Config {
  const file = readEnvFile(resolve(root, '.env'))
  const known = Object.keys(environment.shape)
  const unknown = [
    ...Object.keys(file).filter((name) => !known.includes(name) && !composeNames.test(name)),
    ...Object.keys(variables).filter((name) => name.startsWith('LEDGER_') && !known.includes(name)),
  ]
  const given = known.flatMap((name) => {
    const value = variables[name] || file[name]
    return value ? [[name, value] as const] : []
  })
  const parsed = environment.safeParse(Object.fromEntries(given))
  const problems = [
    ...unknown.map(
      (name) => `${name} is no setting of the Incident Ledger: see .env.example for those there are`,
    ),
    ...(parsed.error?.issues ?? []).map((issue) => `${String(issue.path[0])} ${issue.message}`),
  ]
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems.join('\n'))

  const { data } = parsed
  const path = (name: 'DATA_DIR' | 'ACCESS_KEYS_FILE' | (typeof kafkaFiles)[number]) =>
    data[name] && resolve(variables[name] ? workingDirectory : root, data[name])
  return {
    host: data.HOST,
    port: data.PORT,
    publicUrl: data.PUBLIC_URL === undefined ? undefined : new URL(data.PUBLIC_URL),
    dataDir: path('DATA_DIR') ?? resolve(root, 'data'),
    accessKey: { value: data.X_ACCESS_KEY, isDefault: data.X_ACCESS_KEY === defaultAccessKey },
    accessKeysFile: path('ACCESS_KEYS_FILE'),
    requestsPerMinute: data.RATE_LIMIT,
    trustedProxies: data.TRUSTED_PROXIES,
    eventStoreUrl: data.EVENTSTORE_URL,
    databaseUrl: data.DATABASE_URL,
    redisUrl: data.REDIS_URL,
    kafka: kafkaSettings(data, path),
    telegram:
      data.TELEGRAM_BOT_TOKEN === undefined
        ? undefined
        : {
            token: data.TELEGRAM_BOT_TOKEN,
            allowedChats: new Set(data.TELEGRAM_ALLOWED_CHATS),
            apiRoot: data.TELEGRAM_API_ROOT,
          },
    secret: data.LEDGER_SECRET,
    previousSecrets: data.LEDGER_SECRET_PREVIOUS,
    signingKey: data.LEDGER_SIGNING_KEY,
    previousSigningKeys: data.LEDGER_SIGNING_KEY_PREVIOUS,
    compareEveryMs: data.LEDGER_COMPARE_EVERY,
    ledgerPublic: data.LEDGER_PUBLIC,
    roles: new Set(data.ROLES),
    logLevel: data.LOG_LEVEL,
    logFormat: data.LOG_FORMAT,
  }
}

function kafkaSettings(
  data: z.output<typeof environment>,
  path: (name: (typeof kafkaFiles)[number]) => string | undefined,
): KafkaSettings | undefined {
  if (data.KAFKA_BROKERS.length === 0) return undefined
  return {
    brokers: data.KAFKA_BROKERS,
    topicPrefix: data.KAFKA_TOPIC_PREFIX ?? '',
    ...(data.KAFKA_TLS && {
      tls: {
        caFile: path('KAFKA_TLS_CA_FILE'),
        certificateFile: path('KAFKA_TLS_CERTIFICATE_FILE'),
        keyFile: path('KAFKA_TLS_KEY_FILE'),
      },
    }),
    ...(data.KAFKA_SASL_MECHANISM && {
      sasl: {
        mechanism: data.KAFKA_SASL_MECHANISM,
        username: data.KAFKA_SASL_USERNAME ?? '',
        password: data.KAFKA_SASL_PASSWORD ?? '',
      },
    }),
  }
}

/** An IP address, or a network of them: `10.0.0.0/8`, `fd00::/8`. */
function isNetwork(text: string): boolean {
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  return version !== 0 && Number(bits ?? 0) <= (version === 4 ? 32 : 128)
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

function readEnvFile(path: string): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(path, 'utf8'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {}
    throw new ConfigError(`cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
