/** The composition root: configuration in, parts wired, listening, and a stop in order. Nothing else wires. */
import { hash } from 'node:crypto'
import { join } from 'node:path'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { type Config, ConfigError, readConfig } from './config.ts'
import { openAccessKeys } from './http/access-keys.ts'
import { eventAnswer, incidentAnswer } from './http/answers.ts'
import { buildApp, buildMonitoringApp } from './http/app.ts'
import { openNoncesInPostgres } from './http/signed-requests/nonces-in-postgres.ts'
import { openNoncesInRedis } from './http/signed-requests/nonces-in-redis.ts'
import { asyncApiDocument } from './integrations/asyncapi/index.ts'
import { connectKafka } from './integrations/kafka/connection.ts'
import { openIntake } from './integrations/kafka/intake/index.ts'
import { openPublisher } from './integrations/kafka/publisher.ts'
import { openRepublication, type Republication } from './integrations/kafka/republication.ts'
import { topicName } from './integrations/kafka/topics.ts'
import { runTelegram } from './integrations/telegram/index.ts'
import { interruption } from './interruption.ts'
import type { Ledger } from './ledger/ledger.ts'
import { openLedger } from './ledger/open.ts'
import { type Logger, openLogger } from './logger.ts'
import { openAccessKeyDirectory } from './projections/access-key-directory.ts'
import { openRedisConnection } from './projections/cache/redis-connection.ts'
import { openNotary } from './projections/notary/open.ts'
import { openReadModel } from './projections/open.ts'
import type { ReadModel } from './projections/read-model.ts'
import { openStores, type Stores, signingKeyOf } from './stores.ts'
import { version } from './version.ts'

/** An append is given up after this, its outcome unknown. */
const appendDeadlineMs = 5_000
const healthTimeoutMs = 1_000
/** A count that takes longer is left out: the limits fail open. */
const redisTimeoutMs = 100

/** What a service and a command have in common: the stores, the ledger on them and the read model. */
export interface Runtime extends AsyncDisposable {
  readonly stores: Stores
  readonly ledger: Ledger
  readonly readModel: ReadModel
}

/**
 * Opens the stores, the ledger and the read model; disposing closes them in reverse order.
 * @throws Error of one line where one of them cannot be opened.
 */
export async function openRuntime(
  config: Config,
  log: Logger,
  purpose: 'service' | 'command' = 'command',
): Promise<Runtime> {
  await using opening = new AsyncDisposableStack()
  const stores = await openStores(config, { purpose, log: (line) => log.info(line) })
  opening.defer(() => stores.close())
  const ledger = await openLedger({
    eventStoreUrl: stores.eventStoreUrl,
    secret: { current: stores.secret, previous: config.previousSecrets },
    appendDeadlineMs,
    keysAhead: purpose === 'service',
    log,
  })
  opening.defer(() => ledger.close())
  const readModel = await openReadModel({
    databaseUrl: stores.databaseUrl,
    redisUrl: config.redisUrl,
    ledger,
    log,
  })
  opening.defer(() => readModel.close())
  const opened = opening.move()
  return { stores, ledger, readModel, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/**
 * Serves until the signal aborts, then drains and closes everything. Resolves when all is closed.
 * @throws Error of one line where a part cannot be opened, or one died that it cannot go on without.
 */
export async function serve(
  config: Config,
  log: Logger,
  stop: AbortSignal,
  onServing = () => {},
): Promise<void> {
  await using running = new AsyncDisposableStack()
  const runtime = running.use(await openRuntime(config, log, 'service'))
  const { ledger, readModel } = runtime

  const notary = await openNotaryOf(config, runtime, log)
  running.defer(() => notary.close())
  const background = new AbortController()
  const { signal } = background
  const projecting = config.roles.has('projector') ? readModel.project(signal) : Promise.resolve()
  const notarising = config.roles.has('projector') ? notary.notarise(signal) : Promise.resolve()
  const integrations = config.roles.has('projector') ? integrate(config, runtime, log, signal) : undefined
  running.defer(async () => {
    background.abort()
    await Promise.all([projecting, notarising, integrations?.ended])
  })

  const door = running.use(await openDoor(config, runtime, log, signal))
  // Every process can be watched: it opens a port whether it serves the API or not.
  const build = config.roles.has('api') ? buildApp : buildMonitoringApp
  const app = await build({
    ...door.dependencies,
    incidents: ledger.incidents,
    history: ledger.history,
    queries: readModel.queries,
    announcements: readModel.announcements,
    keyring: ledger.keyring,
    entries: ledger.entries,
    signedLog: notary.signedLog,
    ledgerPublic: config.ledgerPublic,
    health: async () => {
      const [eventStore, projected] = await Promise.all([ledger.health(healthTimeoutMs), readModel.health()])
      return { eventStore, readModel: projected, notary: notary.health(), ...integrations?.health() }
    },
    metrics: new Registry(),
    logger: log,
    clock: Date.now,
    version,
    asyncApi: asyncApiDocument({
      version,
      topicPrefix: config.kafka?.topicPrefix ?? '',
      shown: { event: eventAnswer, incident: incidentAnswer },
    }),
    limits: { provisionalMs: ledger.provisionalMs, requestsPerMinute: config.requestsPerMinute },
  })
  running.defer(() => app.close())
  const address = await app.listen({ host: config.host, port: config.port })
  welcome(config, address, runtime.stores)
  onServing()
  const died = await Promise.race([aborted(stop), runtime.stores.died])
  if (died) throw died
  log.info('stopping')
}

/** Who signs the ledger, as far as this process takes part in it. */
async function openNotaryOf(config: Config, { ledger, stores }: Runtime, log: Logger) {
  const ofLedger = hash('sha256', ledger.checkpoints.origin).slice(0, 12)
  return openNotary({
    databaseUrl: stores.databaseUrl,
    ledger,
    keys: { current: await signingKeyOf(config), previous: config.previousSigningKeys },
    noteFile: join(config.dataDir, `newest-note-${ofLedger}`),
    compareEveryMs: config.compareEveryMs,
    log,
  })
}

/** Kafka out and in, and the bot, as far as they are configured. They end with the signal. */
function integrate(config: Config, { ledger, readModel, stores }: Runtime, log: Logger, signal: AbortSignal) {
  const { kafka, telegram, publicUrl } = config
  const { databaseUrl } = stores
  const publisher = kafka && openPublisher({ settings: kafka, databaseUrl, ledger, log })
  const intake = kafka && openIntake({ settings: kafka, ledger, log })
  const { queries } = readModel
  const talk = (bot: NonNullable<Config['telegram']>) => {
    const reports = kafka && {
      client: connectKafka(kafka, log),
      reportsTopic: topicName('reports', kafka.topicPrefix),
    }
    return runTelegram({ ...bot, ledger, queries, databaseUrl, kafka: reports, publicUrl, log }, signal)
  }
  return {
    ended: Promise.all([publisher?.publish(signal), intake?.take(signal), telegram && talk(telegram)]),
    health: () => ({ publisher: publisher?.health(), intake: intake?.health() }),
  }
}

/** What HTTP asks of those who come: their keys, that a signature was not used before, how often, and by which name. */
async function openDoor(config: Config, { ledger, stores }: Runtime, log: Logger, signal: AbortSignal) {
  const { redisUrl, host, publicUrl } = config
  await using opening = new AsyncDisposableStack()
  const directory = openAccessKeyDirectory(ledger.accessKeys, signal)
  await directory.loaded
  const nonces = redisUrl ? openNoncesInRedis(redisUrl, log) : openNoncesInPostgres(stores.databaseUrl, log)
  opening.defer(() => nonces.close())
  const rates = redisUrl
    ? openRedisConnection({ url: redisUrl, commandTimeoutMs: redisTimeoutMs, log })
    : undefined
  opening.defer(async () => rates?.close())
  const accessKeys = await openAccessKeys({
    configured: config.accessKey,
    directory,
    keyFile: config.accessKeysFile,
    clock: Date.now,
    onError: (error) => log.error({ err: error }, 'the access key file was not taken'),
  })
  opening.defer(() => accessKeys.close())
  const opened = opening.move()
  return {
    dependencies: {
      accessKeys,
      register: ledger.accessKeys,
      directory,
      nonces,
      rateRedis: rates,
      trustedProxies: config.trustedProxies,
      hostNames: [host, ...(publicUrl ? [publicUrl.hostname] : [])],
      publicOrigin: publicUrl?.origin,
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** For the command that sends the publisher to Kafka back to the first event. */
export async function openRepublicationOf(config: Config, log: Logger): Promise<Republication> {
  if (config.kafka) return openRepublication(config.kafka, log)
  throw new ConfigError('KAFKA_BROKERS is not set: there is no Kafka to publish to')
}

/** What the start says to a person. */
function welcome(config: Config, address: string, stores: Stores): void {
  if (config.logFormat !== 'pretty') return
  const base = config.publicUrl?.href.replace(/\/$/, '') ?? address
  const key = config.accessKey.isDefault
    ? 'key (the default, which works on this machine only; set X_ACCESS_KEY to one of your own)'
    : 'the one in X_ACCESS_KEY'
  const data = {
    owned: `${config.dataDir} (embedded event store and Postgres)`,
    attached: `${config.dataDir} (attached to the service that is using it)`,
    configured: 'in the event store and the Postgres that are configured',
  }[stores.origin]
  const isServing = config.roles.has('api')
  process.stdout.write(
    `\n  Incident Ledger ${version} is ${isServing ? 'serving' : 'projecting; the API is served elsewhere'}.\n\n` +
      `    address     ${base}\n` +
      (isServing ? `    docs        ${base}/docs\n` : `    health      ${base}/health\n`) +
      `    access key  ${key}\n` +
      `    data        ${data}\n\n` +
      `  Ctrl-C stops it in order; the next start finds everything.\n\n`,
  )
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Runs the service as this process: signals stop it, a second one at once; one line says why it could not start. */
export async function main(): Promise<void> {
  const stop = interruption(1)
  let log: Logger = pino()
  let attempt = 'start'
  try {
    const config = readConfig()
    log = openLogger(config)
    await serve(config, log, stop, () => {
      attempt = 'go on'
    })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    process.stderr.write(`incident-ledger cannot ${stop.aborted ? 'stop in order' : attempt}: ${why}\n`)
    if (!(error instanceof ConfigError)) log.debug({ err: error })
    process.exitCode = 1
  }
}

if (import.meta.main) await main()
