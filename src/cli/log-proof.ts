/** `incident-ledger log-proof`: the proofs of events as files that other tools take (C2SP tlog-proof). */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import type { IncidentId } from '../aggregates/incident/index.ts'
import { proofsOf, readBundle } from '../audit/bundle.ts'
import { openServedLog } from '../audit/served-proof.ts'
import { type TlogProof, tlogProofOf } from '../audit/tlog-proof.ts'
import { bundleOf } from './export/bundles.ts'
import { accessKeyFor, type ConfiguredService, serviceUrl } from './service-address.ts'
import { type Ask, serviceClient } from './service-client.ts'
import { type Terminal, writeJson } from './terminal.ts'
import { incidentOption } from './values.ts'
import { logOverHttp } from './verify/log-over-http.ts'

export interface LogProofParts {
  readonly terminal: Terminal
  readonly signal: AbortSignal
  readonly json: (command: Command) => boolean
  readonly examples: (...lines: readonly string[]) => string
  readonly configuredService: (command: Command) => ConfiguredService
}

interface LogProofFlags {
  readonly incident?: IncidentId
  readonly stream?: string
  readonly index?: number
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
      'Write the proof of each event of an incident, of another stream such as an access key, or of one event by its index, as a C2SP tlog-proof file, INDEX.tlog-proof, beside the entry that it proves, INDEX.entry.',
    )
    .option('--incident <id>', 'of which the service is asked for the bundle', incidentOption)
    .option(
      '--stream <name>',
      'such as accessKey-ID; its events are looked for through all entries that the service serves',
    )
    .option('--index <number>', 'of the one event that has this place in the whole ledger', wholeNumber)
    .option('--revision <number>', 'only of this event of the incident or the stream', wholeNumber)
    .requiredOption('--out <dir>', 'where to write; made if it is not there')
    .option('--url <url>', 'of the service; otherwise the one on this machine', serviceUrl)
    .option('--access-key-file <file>', 'holds the access key for it; on this machine: the configured one')
    .addHelpText(
      'after',
      examples(
        'incident-ledger log-proof bundle.json --out proofs',
        'incident-ledger log-proof --incident 0197a5c0-0000-7000-8000-000000000001 --revision 0 --out proofs',
        'incident-ledger log-proof --stream accessKey-0197a5c0-0000-7000-8000-000000000002 --out proofs',
        'incident-ledger log-proof --index 41 --out proofs',
      ),
    )
    .action(async (file: string | undefined, flags: LogProofFlags, command: Command) => {
      const { incident, stream, index, revision, out } = flags
      if ([file, incident, stream, index].filter((given) => given !== undefined).length !== 1) {
        command.error('error: name a bundle, or one of --incident, --stream and --index')
      }
      if (index !== undefined && revision !== undefined) {
        command.error('error: --index names one event already: --revision is for an incident or a stream')
      }
      const proofs =
        stream === undefined && index === undefined
          ? proofsIn(
              file === undefined ? await bundleAsked(flags, command) : await readFile(file, 'utf8'),
              revision,
            )
          : servedProofs(logOverHttp(await client(flags, command)), flags)
      const written: string[] = []
      for await (const proof of proofs) written.push(...(await write(proof, out)))
      if (json(command)) writeJson(terminal, { type: 'log-proof', files: written })
      else for (const name of written) terminal.out.write(`${name}\n`)
    })

  async function client({ url: given, accessKeyFile }: LogProofFlags, command: Command): Promise<Ask> {
    const url = given ?? configuredService(command).url
    const accessKey = await accessKeyFor(url, accessKeyFile, () => configuredService(command))
    return serviceClient({ url, accessKey, signal })
  }

  async function bundleAsked(flags: LogProofFlags, command: Command): Promise<string> {
    if (flags.incident === undefined) throw new Error('no incident is named')
    return bundleOf(flags.incident, await client(flags, command))
  }
}

interface WrittenProof extends TlogProof {
  readonly entry: string | Buffer
}

function proofsIn(text: string, revision: number | undefined): WrittenProof[] {
  const bundle = readBundle(text)
  if ('code' in bundle) throw new Error(bundle.message)
  const proofs = proofsOf(bundle).filter((_, place) => revision === undefined || place === revision)
  if (proofs.length > 0) return proofs
  throw new Error(`there is no revision ${revision}: the bundle has 0 to ${bundle.events.length - 1}`)
}

async function* servedProofs(
  files: Parameters<typeof openServedLog>[0],
  { stream = '', index, revision }: Pick<LogProofFlags, 'stream' | 'index' | 'revision'>,
): AsyncGenerator<WrittenProof> {
  const log = await openServedLog(files)
  if (index !== undefined) return yield log.proofAt(index)
  let isThere = false
  for await (const found of log.indexesOf(stream)) {
    if (revision !== undefined && found.revision !== revision) continue
    isThere = true
    yield log.proofAt(found.index)
    if (revision !== undefined) return
  }
  if (isThere) return
  const what = revision === undefined ? 'no event' : `no revision ${revision}`
  throw new Error(
    `there is ${what} of the stream ${stream} among the ${log.size} events under the newest note`,
  )
}

/** @returns the files that were written. */
async function write({ entry, ...proof }: WrittenProof, out: string): Promise<string[]> {
  await mkdir(out, { recursive: true })
  const name = join(out, String(proof.index))
  await writeFile(`${name}.tlog-proof`, tlogProofOf(proof))
  await writeFile(`${name}.entry`, entry)
  return [`${name}.tlog-proof`, `${name}.entry`]
}

function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number.')
}
