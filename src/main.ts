/** The composition root: configuration in, parts wired, listening, and a stop in order. Nothing else wires. */
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
import { openReadModel } from './projections/open.ts'
import type { ReadModel } from './projections/read-model.ts'
import { openStores, type Stores } from './stores.ts'
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

  const background = new AbortController()
  const projecting = config.roles.has('projector') ? readModel.project(background.signal) : Promise.resolve()
  const publisher =
    config.kafka && config.roles.has('projector')
      ? openPublisher({ settings: config.kafka, databaseUrl: runtime.stores.databaseUrl, ledger, log })
      : undefined
  const publishing = publisher?.publish(background.signal)
  const intake =
    config.kafka && config.roles.has('projector')
      ? openIntake({ settings: config.kafka, ledger, log })
      : undefined
  const taking = intake?.take(background.signal)
  const talking = config.telegram && config.roles.has('projector') && talk(config.telegram)
  running.defer(async () => {
    background.abort()
    await Promise.all([projecting, publishing, taking, talking])
  })

  // Every process can be watched: it opens a port whether it serves the API or not.
  const build = config.roles.has('api') ? buildApp : buildMonitoringApp
  const directory = openAccessKeyDirectory(ledger.accessKeys, background.signal)
  await directory.loaded
  const nonces = config.redisUrl
    ? openNoncesInRedis(config.redisUrl, log, Date.now)
    : openNoncesInPostgres(runtime.stores.databaseUrl, log)
  running.defer(() => nonces.close())
  const rates =
    config.redisUrl && openRedisConnection({ url: config.redisUrl, commandTimeoutMs: redisTimeoutMs, log })
  if (rates) running.defer(() => rates.close())
  const accessKeys = await openAccessKeys({
    configured: config.accessKey,
    directory,
    keyFile: config.accessKeysFile,
    clock: Date.now,
    onError: (error) => log.error({ err: error }, 'the access key file was not taken'),
  })
  running.defer(() => accessKeys.close())
  const app = await build({
    incidents: ledger.incidents,
    history: ledger.history,
    queries: readModel.queries,
    announcements: readModel.announcements,
    accessKeys,
    register: ledger.accessKeys,
    directory,
    nonces,
    rateRedis: rates ? rates.redis : undefined,
    trustedProxies: config.trustedProxies,
    keyring: ledger.keyring,
    health: async () => {
      const [eventStore, projected] = await Promise.all([ledger.health(healthTimeoutMs), readModel.health()])
      return { eventStore, readModel: projected, publisher: publisher?.health(), intake: intake?.health() }
    },
    metrics: new Registry(),
    logger: log,
    hostNames: [config.host, ...(config.publicUrl ? [config.publicUrl.hostname] : [])],
    publicOrigin: config.publicUrl?.origin,
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

  function talk(telegram: NonNullable<Config['telegram']>): Promise<void> {
    const kafka = config.kafka && {
      client: connectKafka(config.kafka, log),
      reportsTopic: topicName('reports', config.kafka.topicPrefix),
    }
    const { publicUrl } = config
    const { databaseUrl } = runtime.stores
    const { queries } = readModel
    return runTelegram(
      { ...telegram, ledger, queries, databaseUrl, kafka, publicUrl, log },
      background.signal,
    )
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
