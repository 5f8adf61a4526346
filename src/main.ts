/** The composition root: configuration in, parts wired, listening, and a stop in order. Nothing else wires. */
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { type Config, ConfigError, isLoopback, readConfig } from './config.ts'
import { openAccessKeys } from './http/access-keys.ts'
import { buildApp } from './http/app.ts'
import { interruption } from './interruption.ts'
import type { Ledger } from './ledger/ledger.ts'
import { openLedger } from './ledger/open.ts'
import { type Logger, openLogger } from './logger.ts'
import { openReadModel } from './projections/open.ts'
import type { ReadModel } from './projections/read-model.ts'
import { openStores, type Stores } from './stores.ts'
import { version } from './version.ts'

/** An append is given up after this, its outcome unknown. */
const appendDeadlineMs = 5_000
const healthTimeoutMs = 1_000

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
  running.defer(async () => {
    background.abort()
    await projecting
  })

  if (config.roles.has('api')) {
    const accessKeys = await openAccessKeys({
      configuredKey: config.accessKey.value,
      loopback: isLoopback(config.host),
      keyFile: config.accessKeysFile,
      clock: Date.now,
      onError: (error) => log.error({ err: error }, 'the access key file was not taken'),
    })
    running.defer(() => accessKeys.close())
    const app = await buildApp({
      incidents: ledger.incidents,
      history: ledger.history,
      queries: readModel.queries,
      announcements: readModel.announcements,
      accessKeys,
      keyring: ledger.keyring,
      health: async () => {
        const [eventStore, projected] = await Promise.all([
          ledger.health(healthTimeoutMs),
          readModel.health(),
        ])
        return { eventStore, readModel: projected }
      },
      metrics: new Registry(),
      logger: log,
      hostNames: [config.host, ...(config.publicUrl ? [config.publicUrl.hostname] : [])],
      publicOrigin: config.publicUrl?.origin,
      clock: Date.now,
      version,
      limits: { provisionalMs: ledger.provisionalMs },
    })
    running.defer(() => app.close())
    const address = await app.listen({ host: config.host, port: config.port })
    welcome(config, address, runtime.stores)
  } else {
    log.info({ roles: [...config.roles] }, 'running without the HTTP API')
  }
  onServing()
  const died = await Promise.race([aborted(stop), runtime.stores.died])
  if (died) throw died
  log.info('stopping')
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
  process.stdout.write(
    `\n  Incident Ledger ${version} is serving.\n\n` +
      `    address     ${base}\n` +
      `    docs        ${base}/docs\n` +
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
    process.stderr.write(
      `incident-ledger cannot ${stop.aborted ? 'stop in order' : attempt}: ${why}\n`,
    )
    if (!(error instanceof ConfigError)) log.debug({ err: error })
    process.exitCode = 1
  }
}

if (import.meta.main) await main()
