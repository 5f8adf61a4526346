/** `incident-ledger export`: the events as callers see them, or the bundles that prove them. */
import { type Command, Option } from 'commander'
import type { IncidentId, Instant } from '../../aggregates/incident/index.ts'
import type { Runtime } from '../../main.ts'
import { accessKeyFor, type ConfiguredService, serviceUrl } from '../service-address.ts'
import { serviceClient } from '../service-client.ts'
import type { Terminal } from '../terminal.ts'
import { incidentOption, instantOption } from '../values.ts'
import { bundlesOf } from './bundles.ts'
import { csvOf } from './csv.ts'
import { exportedEvents, incidentsOf } from './events.ts'
import { writeLines } from './output.ts'

export interface ExportParts {
  readonly terminal: Terminal
  readonly signal: AbortSignal
  readonly examples: (...lines: readonly string[]) => string
  readonly openRuntime: (command: Command) => Promise<Runtime>
  readonly configuredService: (command: Command) => ConfiguredService
  /** On record before it begins, and when it has ended. */
  readonly audited: <T>(command: Command, work: () => Promise<T>) => Promise<T>
}

interface ExportFlags {
  readonly from?: Instant
  readonly to?: Instant
  readonly incident?: IncidentId
  readonly format: 'ndjson' | 'csv' | 'bundle'
  readonly url?: URL
  readonly accessKeyFile?: string
}

export function addExport(
  root: Command,
  { terminal, signal, examples, openRuntime, configuredService, audited }: ExportParts,
) {
  root
    .command('export')
    .description(
      'Write the events of the ledger to standard output, or the bundles that prove incidents, one a line.',
    )
    .option('--from <time>', 'only events recorded from then on', instantOption)
    .option('--to <time>', 'only events recorded before then', instantOption)
    .option('--incident <id>', 'only of this incident', incidentOption)
    .addOption(
      new Option(
        '--format <name>',
        'bundle: of each incident with such an event, as the running service gives it',
      )
        .choices(['ndjson', 'csv', 'bundle'])
        .default('ndjson'),
    )
    .option('--url <url>', 'of the service that gives bundles; otherwise the one on this machine', serviceUrl)
    .option('--access-key-file <file>', 'holds the access key for it; on this machine: the configured one')
    .addHelpText(
      'after',
      examples(
        'incident-ledger export > events.ndjson',
        'incident-ledger export --format csv --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z > january.csv',
        'incident-ledger export --format bundle --incident 0197a5c0-0000-7000-8000-000000000001 > bundle.json',
      ),
    )
    .action(async (flags: ExportFlags, command: Command) => {
      await using runtime = await openRuntime(command)
      await audited(command, () => write(flags, command, runtime))
    })

  async function write(flags: ExportFlags, command: Command, { ledger }: Runtime): Promise<void> {
    const { from, to, incident, format } = flags
    const events = exportedEvents({ ledger, from, to, incident, signal })
    if (format !== 'bundle') {
      const written = await writeLines(format === 'csv' ? csvOf(events) : ndjsonOf(events), terminal.out)
      const count = format === 'csv' ? Math.max(written - 1, 0) : written
      terminal.err.write(`${count} events exported\n`)
      return
    }
    const url = flags.url ?? configuredService(command).url
    const accessKey = await accessKeyFor(url, flags.accessKeyFile, () => configuredService(command))
    const ask = serviceClient({ url, accessKey, signal })
    const written = await writeLines(bundlesOf(incidentsOf(events), ask), terminal.out)
    terminal.err.write(`${written} incidents exported\n`)
  }
}

async function* ndjsonOf(events: ReturnType<typeof exportedEvents>): AsyncGenerator<string> {
  for await (const event of events) yield JSON.stringify(event)
}
