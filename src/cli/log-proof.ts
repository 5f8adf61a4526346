/** `incident-ledger log-proof`: the proofs of an incident's events as files that other tools take (C2SP tlog-proof). */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import type { IncidentId } from '../aggregates/incident/index.ts'
import { proofsOf, readBundle } from '../audit/bundle.ts'
import { tlogProofOf } from '../audit/tlog-proof.ts'
import { bundleOf } from './export/bundles.ts'
import { accessKeyFor, type ConfiguredService, serviceUrl } from './service-address.ts'
import { serviceClient } from './service-client.ts'
import { type Terminal, writeJson } from './terminal.ts'
import { incidentOption } from './values.ts'

export interface LogProofParts {
  readonly terminal: Terminal
  readonly signal: AbortSignal
  readonly json: (command: Command) => boolean
  readonly examples: (...lines: readonly string[]) => string
  readonly configuredService: (command: Command) => ConfiguredService
}

interface LogProofFlags {
  readonly incident?: IncidentId
  readonly revision?: number
  readonly out: string
  readonly url?: URL
  readonly accessKeyFile?: string
}

export function addLogProof(
  root: Command,
  { terminal, signal, json, examples, configuredService }: LogProofParts,
) {
  root
    .command('log-proof')
    .argument('[bundle]', 'a file as `export --format bundle` gives it')
    .description(
      'Write the proof of each event of an incident as a C2SP tlog-proof file, INDEX.tlog-proof, beside the entry that it proves, INDEX.entry.',
    )
    .option('--incident <id>', 'of which the service is asked for the bundle', incidentOption)
    .option('--revision <number>', 'only of this event', wholeNumber)
    .requiredOption('--out <dir>', 'where to write; made if it is not there')
    .option('--url <url>', 'of the service; otherwise the one on this machine', serviceUrl)
    .option('--access-key-file <file>', 'holds the access key for it; on this machine: the configured one')
    .addHelpText(
      'after',
      examples(
        'incident-ledger log-proof bundle.json --out proofs',
        'incident-ledger log-proof --incident 0197a5c0-0000-7000-8000-000000000001 --revision 0 --out proofs',
      ),
    )
    .action(async (file: string | undefined, flags: LogProofFlags, command: Command) => {
      const { incident, revision, out } = flags
      if ((file === undefined) === (incident === undefined)) {
        command.error('error: name a bundle, or an incident with --incident: one of the two')
      }
      const text = file === undefined ? await asked(flags, command) : await readFile(file, 'utf8')
      const written = await writeProofs(text, { out, revision })
      if (json(command)) writeJson(terminal, { type: 'log-proof', files: written })
      else for (const name of written) terminal.out.write(`${name}\n`)
    })

  async function asked(
    { incident, url: given, accessKeyFile }: LogProofFlags,
    command: Command,
  ): Promise<string> {
    if (incident === undefined) throw new Error('no incident is named')
    const url = given ?? configuredService(command).url
    const accessKey = await accessKeyFor(url, accessKeyFile, () => configuredService(command))
    return bundleOf(incident, serviceClient({ url, accessKey, signal }))
  }
}

/** @returns the files that were written. */
async function writeProofs(
  text: string,
  { out, revision }: { readonly out: string; readonly revision: number | undefined },
): Promise<string[]> {
  const bundle = readBundle(text)
  if ('code' in bundle) throw new Error(bundle.message)
  const proofs = proofsOf(bundle).filter((_, place) => revision === undefined || place === revision)
  if (proofs.length === 0) {
    throw new Error(`there is no revision ${revision}: the bundle has 0 to ${bundle.events.length - 1}`)
  }
  await mkdir(out, { recursive: true })
  const files: string[] = []
  for (const { entry, ...proof } of proofs) {
    const name = join(out, String(proof.index))
    await writeFile(`${name}.tlog-proof`, tlogProofOf(proof))
    await writeFile(`${name}.entry`, entry)
    files.push(`${name}.tlog-proof`, `${name}.entry`)
  }
  return files
}

function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number.')
}
