/** `incident-ledger verify`: a bundle offline, or a log that is served. */
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
  readonly known: readonly string[]
  readonly accessKeyFile?: string
  readonly state?: string
}

export function addVerify(root: Command, parts: VerifyParts): void {
  root
    .command('verify')
    .argument('[bundle]', 'a file as GET /incidents/{id}/proof and `export --format bundle` give it')
    .description(
      'Verify that what a ledger shows is what it signed: a bundle offline with the public key alone, or with --url every event of a whole log.',
    )
    .option('--key <vkey>', 'a key to trust, name+hash+key; may be given several times', keys, [])
    .option('--url <url>', 'of a service whose whole log is to be verified', serviceUrl)
    .option(
      '--known <file>',
      'a note kept from before, which the log must go on from; may be repeated',
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
      ),
    )
    .action(async (file: string | undefined, flags: VerifyFlags, command: Command) => {
      const { key: verifiers, url } = flags
      const { terminal, signal } = parts
      const json = parts.json(command)
      if ((file === undefined) === (url === undefined)) {
        command.error('error: name a bundle, or a service with --url: one of the two')
      }
      if (file !== undefined) {
        if (verifiers.length === 0) {
          command.error(
            'error: a bundle is verified with --key VKEY: the key of the log, got from elsewhere than the bundle',
          )
        }
        if (flags.known.length > 0) command.error('error: --known is for a whole log: give --url')
        parts.end(await verifyBundleFile({ file, verifiers, terminal, json }))
      } else if (url !== undefined) {
        const accessKey = await accessKeyFor(url, flags.accessKeyFile, () => parts.configuredService(command))
        const stateFile = flags.state ?? `verify-${url.host.replaceAll(/[^\w.-]/g, '-')}.state`
        const knownFiles = flags.known
        parts.end(
          await verifyLogAt({ url, verifiers, knownFiles, accessKey, stateFile, terminal, json, signal }),
        )
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
