import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { type AccessKeyId, accessKeyId, scopes } from '../aggregates/access-key/index.ts'
import {
  erasureBody,
  type IncidentId,
  type Instant,
  incidentId,
  instant,
  severities,
  sources,
  statuses,
} from '../aggregates/incident/index.ts'
import { ConfigError } from '../config.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Runtime } from '../main.ts'
import { type AuditedCommand, onRecord } from './audit-record.ts'
import { type CopyCommandOptions, copy } from './copy.ts'
import { eraseIncident } from './erase.ts'
import { addEventStore } from './event-store.ts'
import { type ExitCode, exitCode, exitCodesHelp } from './exit-code.ts'
import { addExport } from './export/index.ts'
import { failureText } from './failure.ts'
import { importCommand, mustBeFile } from './import/command.ts'
import { ndjson, ndjsonHelp } from './import/ndjson.ts'
import type { Format, SourceRow } from './import/plan.ts'
import { serviceNow, serviceNowHelp } from './import/servicenow.ts'
import { issueKey, keyFrom, listKeys, revokeKey } from './keys.ts'
import { addLogProof } from './log-proof.ts'
import { rebuild } from './rebuild.ts'
import { type ReplayFilter, replayAll, replayList, replayOne } from './replay.ts'
import { type Republication, republish } from './republish.ts'
import { rotateSecret } from './rotate-secret.ts'
import type { ConfiguredService } from './service-address.ts'
import type { Terminal } from './terminal.ts'
import { addVerify } from './verify/index.ts'

/** What the commands need of the rest of the program. Each part is loaded by the command that uses it. */
export interface Surroundings {
  readonly terminal: Terminal
  readonly version: string
  /** Aborts when the user has had enough. */
  readonly interruption: AbortSignal
  readonly serve: (settings: Settings, stop: AbortSignal) => Promise<void>
  readonly openRuntime: (settings: Settings) => Promise<Runtime>
  readonly openRepublication: (settings: Settings) => Promise<Republication>
  readonly rebuildReadModel: Parameters<typeof rebuild>[0]['rebuildReadModel']
  readonly configuredService: (settings: Settings) => ConfiguredService
  /** Where commands that read the ledger's history, or change its keys, are put on record. */
  readonly auditFile: (settings: Settings) => string
  readonly loadCopy: () => Promise<Pick<CopyCommandOptions, 'copyLedger' | 'giveUpCopy'>>
  readonly runEventStoreNode: Parameters<typeof addEventStore>[1]['runNode']
}

/** What the command line says of the configuration. */
export interface Settings {
  readonly dataDir?: string | undefined
}

/** Runs one command line, without the program's own name. Never throws: failures are told on the terminal. */
export async function runCommandLine(args: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  const { terminal, interruption } = surroundings
  let code: ExitCode = exitCode.done
  try {
    await program(surroundings, (ended) => {
      code = ended
    }).parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.done : exitCode.usage
    if (interruption.aborted) return exitCode.interrupted
    terminal.err.write(`incident-ledger: ${failureText(error)}\n`)
    return error instanceof ConfigError ? exitCode.usage : exitCode.failed
  }
}

function program(surroundings: Surroundings, end: (code: ExitCode) => void): Command {
  const { terminal, version, interruption: signal } = surroundings
  const root = new Command('incident-ledger')
    .description('Records incidents as events, for good.')
    .version(version)
    .option('--data-dir <dir>', 'where the embedded parts keep their state, instead of DATA_DIR')
    .option('--json', 'answer with JSON objects, one a line')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({
      writeOut: (text) => terminal.out.write(text),
      writeErr: (text) => terminal.err.write(text),
    })
    .showHelpAfterError('(--help tells more)')
    .exitOverride()
    .addHelpText(
      'after',
      `\n${settingsHelp}${examples('incident-ledger serve', 'incident-ledger import servicenow incidents.csv')}`,
    )

  root
    .command('serve')
    .description('Serve the HTTP API and build the read model, until Ctrl-C.')
    .addHelpText(
      'after',
      examples('incident-ledger serve', 'PORT=8080 incident-ledger serve --data-dir /var/lib/ledger'),
    )
    .action(async (_, command: Command) => surroundings.serve(settingsOf(command), signal))

  addEventStore(root, {
    runNode: surroundings.runEventStoreNode,
    terminal,
    signal,
    json: jsonOf,
    end,
    examples,
  })

  const imports = root.command('import').description('Take in incidents and their history from elsewhere.')
  addImport(imports, 'servicenow', serviceNow, serviceNowHelp)
  addImport(imports, 'ndjson', ndjson, ndjsonHelp)

  root
    .command('rebuild')
    .description('Make the read model anew from the events, while the old one goes on answering.')
    .addHelpText('after', examples('incident-ledger rebuild'))
    .action(async (_, command: Command) => {
      await using runtime = await surroundings.openRuntime(settingsOf(command))
      const { ledger, stores } = runtime
      const { rebuildReadModel } = surroundings
      await rebuild({
        rebuildReadModel,
        databaseUrl: stores.databaseUrl,
        ledger,
        terminal,
        signal,
        json: jsonOf(command),
      })
    })

  root
    .command('copy')
    .description('Move the ledger to another event store; every index, root and proof stays the same.')
    .requiredOption('--from <url>', 'connection string of the event store that the ledger lives in')
    .requiredOption('--to <url>', 'connection string of an empty event store')
    .option('--cancel', 'give up a copy that is not complete, and open the source again')
    .addHelpText(
      'after',
      examples(
        "incident-ledger copy --from 'esdb://127.0.0.1:2114?tls=false' --to 'esdb://127.0.0.1:2113?tls=false'",
      ),
    )
    .action(async (options: { from: string; to: string; cancel?: boolean }, command: Command) => {
      const { from, to } = options
      const operations = await surroundings.loadCopy()
      const common = { from, to, signal, terminal, json: jsonOf(command) }
      await copy({ ...operations, ...common, cancel: options.cancel === true })
    })

  root
    .command('republish')
    .description('Publish every event to Kafka again, from the first: the way out when Kafka was emptied.')
    .option('--yes', 'begin; without it, only tell what is repeated')
    .addHelpText('after', examples('incident-ledger republish', 'incident-ledger republish --yes'))
    .action(async (options: { yes?: boolean }, command: Command) => {
      await using republication = await surroundings.openRepublication(settingsOf(command))
      end(await republish({ republication, yes: options.yes === true, terminal, json: jsonOf(command) }))
    })

  root
    .command('replay')
    .description(
      'Fold the events up to a moment of the past: how many incidents there were, which of them stood so, or how one of them did.',
    )
    .option('--as-of <time>', 'what had happened by then', momentOfThePast)
    .option('--known-at <time>', 'what this ledger knew by then', momentOfThePast)
    .option('--incident <id>', 'one incident instead of the counts', uuid)
    .addOption(listing('--status <status>', 'list the incidents that had it', statuses))
    .addOption(listing('--severity <severity>', 'list the incidents that had it', severities))
    .addOption(listing('--source <source>', 'list the incidents that came from there', sources))
    .addHelpText(
      'after',
      examples(
        'incident-ledger replay --as-of 2016-03-05T00:00:00Z',
        'incident-ledger replay --as-of 2016-03-05T00:00:00Z --known-at 2026-01-01T00:00:00Z',
        'incident-ledger replay --as-of 2016-03-05T00:00:00Z --status on_hold --severity high',
        'incident-ledger replay --as-of 2016-03-05T00:00:00Z --incident 0197a5c0-0000-7000-8000-000000000001 --json',
      ),
    )
    .action(
      async (
        options: { asOf?: Instant; knownAt?: Instant; incident?: IncidentId } & ReplayFilter,
        command: Command,
      ) => {
        const { asOf, knownAt, incident, ...filter } = options
        await using runtime = await surroundings.openRuntime(settingsOf(command))
        const replay = { ledger: runtime.ledger, terminal, signal, json: jsonOf(command), asOf, knownAt }
        await audited(command, () => {
          if (incident) return replayOne(incident, replay)
          return Object.keys(filter).length > 0 ? replayList(filter, replay) : replayAll(replay)
        })
      },
    )

  root
    .command('erase')
    .argument('<id>', 'of the incident', uuid)
    .description('Erase the personal data of an incident, for good and everywhere; its history stays.')
    .requiredOption('--reason <text>', 'why; it stays in the ledger: name a case, not a person', reasonText)
    .addHelpText(
      'after',
      examples('incident-ledger erase 0197a5c0-0000-7000-8000-000000000001 --reason "request 2026-17"'),
    )
    .action((id: IncidentId, { reason }: { reason: string }, command: Command) =>
      withLedger(command, (opened) => eraseIncident(id, { ...opened, reason })),
    )

  const auditing = {
    terminal,
    signal,
    json: jsonOf,
    end,
    examples,
    configuredService: (command: Command) => surroundings.configuredService(settingsOf(command)),
    openRuntime: (command: Command) => surroundings.openRuntime(settingsOf(command)),
    audited,
  }
  addVerify(root, auditing)
  addExport(root, auditing)
  addLogProof(root, auditing)

  const keys = root
    .command('keys')
    .description(
      'Issue, list and revoke access keys, of a running service too, which needs no restart; and rotate the secret.',
    )
  keys
    .command('issue')
    .argument('<name>', 'what the key is for: a system, not a person, for it stays in the ledger')
    .description('Issue an access key, and show it this once.')
    .requiredOption('--scopes <list>', `of ${scopes.join(', ')}, joined by commas`, commaSeparated)
    .option('--expires <time>', 'from when it opens nothing any more; without it: never')
    .option('--requires-signature', 'whether it opens to signed requests only', false)
    .addHelpText(
      'after',
      examples(
        'incident-ledger keys issue "payments pager" --scopes read,write',
        'incident-ledger keys issue operator --scopes read,write,audit,admin --expires 2027-01-31T00:00:00Z',
      ),
    )
    .action(
      async (
        name: string,
        options: { scopes: readonly string[]; expires?: string; requiresSignature: boolean },
        command: Command,
      ) => {
        const body = keyFrom({ name, ...options })
        await withLedger(command, (opened) => issueKey(body, opened))
      },
    )
  keys
    .command('list')
    .description('List the access keys that were issued, revoked and expired ones too.')
    .addHelpText('after', examples('incident-ledger keys list', 'incident-ledger keys list --json'))
    .action((_, command: Command) => withLedger(command, listKeys))
  keys
    .command('revoke')
    .argument('<id>', 'of the access key, as `keys list` shows it', keyId)
    .description('Revoke an access key, for good and everywhere.')
    .addHelpText('after', examples('incident-ledger keys revoke 0197a5c0-0000-7000-8000-000000000001'))
    .action((id: AccessKeyId, _, command: Command) => withLedger(command, (opened) => revokeKey(id, opened)))

  keys
    .command('rotate-secret')
    .description('Put every data key under the current LEDGER_SECRET, while the service runs.')
    .addHelpText(
      'after',
      `
First give the service, and this command, a new LEDGER_SECRET with the next version, and the one before in LEDGER_SECRET_PREVIOUS
(LEDGER_SECRET=2:the-new-one LEDGER_SECRET_PREVIOUS=1:the-old-one), and start every process of the service anew.
${examples('incident-ledger keys rotate-secret')}`,
    )
    .action((_, command: Command) => withLedger(command, (opened) => rotateSecret({ ...opened, signal })))

  return root

  async function withLedger(
    command: Command,
    work: (opened: {
      readonly ledger: Ledger
      readonly terminal: Terminal
      readonly json: boolean
      readonly correlationId: string
    }) => Promise<void>,
  ): Promise<void> {
    await using runtime = await surroundings.openRuntime(settingsOf(command))
    const { ledger } = runtime
    await audited(command, (correlationId) =>
      work({ ledger, terminal, json: jsonOf(command), correlationId }),
    )
  }

  /** On record before it begins, and when it has ended. */
  function audited<T>(command: Command, work: (correlationId: string) => Promise<T>): Promise<T> {
    return onRecord(surroundings.auditFile(settingsOf(command)), auditedCommand(command), work)
  }

  function addImport<Row extends SourceRow>(
    parent: Command,
    source: string,
    format: Format<Row>,
    help: string,
  ) {
    parent
      .command(source)
      .argument('<file>')
      .description(`Import a file of ${source} records. What an earlier run has taken is not taken again.`)
      .option(
        '--source <name>',
        'what the origin of the incidents is called: import:<name>',
        sourceName,
        source,
      )
      .addHelpText(
        'after',
        `\n${help}\n${examples(`incident-ledger import ${source} FILE`, `incident-ledger import ${source} FILE --json`)}`,
      )
      .action(async (file: string, options: { source: string }, command: Command) => {
        await mustBeFile(file)
        await using runtime = await surroundings.openRuntime(settingsOf(command))
        const { ledger } = runtime
        const origin = `import:${options.source}`
        end(await importCommand(format, { ledger, terminal, signal, json: jsonOf(command), file, origin }))
      })
  }
}

const settingsHelp = `The configuration comes from the environment and from .env, as for the service; .env.example tells all of it.
On a DATA_DIR that a service is using, commands attach to that service's event store and Postgres.
`

function settingsOf(command: Command): Settings {
  return { dataDir: command.optsWithGlobals<{ dataDir?: string }>().dataDir }
}

function auditedCommand(command: Command): AuditedCommand {
  const parents = command.parent?.parent ? `${command.parent.name()} ` : ''
  const given = command.options.filter(
    (option) => command.getOptionValueSource(option.attributeName()) === 'cli',
  )
  return { command: `${parents}${command.name()}`, options: given.map((option) => option.name()) }
}

function jsonOf(command: Command): boolean {
  return command.optsWithGlobals<{ json?: boolean }>().json === true
}

function momentOfThePast(text: string): Instant {
  const read = instant.safeParse(text)
  if (!read.success) throw new InvalidArgumentError(`It ${read.error.issues[0]?.message}.`)
  if (read.data > new Date().toISOString()) throw new InvalidArgumentError('It lies in the future.')
  return read.data
}

/** An option that makes a replay list incidents. */
function listing(flags: string, description: string, choices: readonly string[]): Option {
  return new Option(flags, description).choices(choices).conflicts('incident')
}

function uuid(text: string): IncidentId {
  const read = incidentId.safeParse(text)
  if (!read.success) throw new InvalidArgumentError('It must be a UUID.')
  return read.data
}

function reasonText(text: string): string {
  const read = erasureBody.shape.reason.safeParse(text)
  if (!read.success) throw new InvalidArgumentError(`It ${read.error.issues[0]?.message}.`)
  return read.data
}

function keyId(text: string): AccessKeyId {
  const read = accessKeyId.safeParse(text)
  if (!read.success) throw new InvalidArgumentError('It must be a UUID.')
  return read.data
}

function commaSeparated(text: string): readonly string[] {
  return text.split(',').map((part) => part.trim())
}

function sourceName(text: string): string {
  if (/^[a-zA-Z0-9_.-]{1,100}$/.test(text)) return text
  throw new InvalidArgumentError('It must be 1 to 100 characters of a-z A-Z 0-9 _ . -')
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}\n\n${exitCodesHelp}`
}
