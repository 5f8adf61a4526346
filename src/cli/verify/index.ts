/** `incident-ledger verify`: a bundle offline, a log that is served, or what an event store holds. */
import { type Command, InvalidArgumentError } from 'commander'
import { type NoteVerifier, noteVerifier } from '../../audit/signed-note.ts'
import type { ExitCode } from '../exit-code.ts'
import { accessKeyFor, type ConfiguredService, serviceUrl } from '../service-address.ts'
import type { Terminal } from '../terminal.ts'
import { verifyBundleFile } from './verify-bundle.ts'
import { verifyLogAt } from './verify-log.ts'

export interface VerifyParts {
  readonly terminal: Terminal
  readonly signal: AbortSignal
  readonly json: (command: Command) => boolean
  readonly end: (code: ExitCode) => void
  readonly examples: (...lines: readonly string[]) => string
  /** The service on this machine, as it is configured. */
  readonly configuredService: (command: Command) => ConfiguredService
}

interface VerifyFlags {
  readonly key: readonly NoteVerifier[]
  readonly url?: URL
  readonly store?: string
  readonly known: readonly string[]
  readonly accessKeyFile?: string
  readonly state?: string
}

export function addVerify(root: Command, parts: VerifyParts): void {
  root
    .command('verify')
    .argument('[bundle]', 'a file as GET /incidents/{id}/proof and `export --format bundle` give it')
    .description(
      'Verify that what a ledger shows is what it signed: a bundle offline with the public key alone, with --url every event of a log as a service serves it, or with --store every event that an event store holds.',
    )
    .option('--key <vkey>', 'a key to trust, name+hash+key; may be given several times', keys, [])
    .option('--url <url>', 'of a service whose whole log is to be verified', serviceUrl)
    .option(
      '--store <place>',
      "of an event store that is to be read itself: a connection string, a node's folder, or its file or a backup of it, which is not written to; with --url its events are held against the service's tiles too",
    )
    .option(
      '--known <file>',
      'a note or a bundle kept from before, which the log must go on from; may be repeated',
      more,
      [],
    )
    .option(
      '--access-key-file <file>',
      'holds the access key for the service; on this machine: the configured one',
    )
    .option(
      '--state <file>',
      'where an interrupted verification is kept; otherwise verify-<host>.state, here',
    )
    .addHelpText(
      'after',
      parts.examples(
        'incident-ledger verify bundle.json --key ledger.example+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
        'incident-ledger verify --url http://127.0.0.1:3003',
        'incident-ledger verify --url https://ledger.example --key VKEY --known note-of-january --access-key-file key',
        'incident-ledger verify --store events.backup --key VKEY --known note-of-january',
        'incident-ledger verify --store data/event-store --url http://127.0.0.1:3003',
      ),
    )
    .action(async (file: string | undefined, flags: VerifyFlags, command: Command) => {
      const { key: verifiers, url, store, known: knownFiles } = flags
      const { terminal, signal } = parts
      const json = parts.json(command)
      if ((file === undefined) === (url === undefined && store === undefined)) {
        command.error('error: name a bundle, a service with --url, or an event store with --store')
      }
      if (verifiers.length === 0 && url === undefined) {
        const [a, the] = store === undefined ? ['a bundle', 'the bundle'] : ['an event store', 'the store']
        command.error(
          `error: ${a} is verified with --key VKEY: the key of the log, got from elsewhere than ${the}`,
        )
      }
      if (file !== undefined) {
        if (knownFiles.length > 0) command.error('error: --known is for a whole log: give --url or --store')
        parts.end(await verifyBundleFile({ file, verifiers, terminal, json }))
        return
      }
      const accessKey =
        url && (await accessKeyFor(url, flags.accessKeyFile, () => parts.configuredService(command)))
      const common = { verifiers, knownFiles, accessKey, terminal, json, signal }
      if (store !== undefined) {
        if (flags.state !== undefined) command.error('error: --state is for --url without --store')
        const { verifyStoreAt } = await import('./verify-store.ts')
        parts.end(await verifyStoreAt({ ...common, store, url }))
      } else if (url !== undefined) {
        const stateFile = flags.state ?? `verify-${url.host.replaceAll(/[^\w.-]/g, '-')}.state`
        parts.end(await verifyLogAt({ ...common, url, stateFile }))
      }
    })
}

function keys(text: string, before: readonly NoteVerifier[]): readonly NoteVerifier[] {
  try {
    return [...before, noteVerifier(text)]
  } catch (error) {
    throw new InvalidArgumentError(
      error instanceof Error ? `It is refused: ${error.message}.` : String(error),
    )
  }
}

function more(text: string, before: readonly string[]): readonly string[] {
  return [...before, text]
}
