import { type Command, InvalidArgumentError } from 'commander'
import type { runEventStoreNode } from '../embedded/event-store/node.ts'
import { type ExitCode, exitCode } from './exit-code.ts'
import { type Terminal, writeJson } from './terminal.ts'

interface Surroundings {
  readonly runNode: typeof runEventStoreNode
  readonly terminal: Terminal
  readonly signal: AbortSignal
  readonly json: (command: Command) => boolean
  readonly end: (code: ExitCode) => void
  readonly examples: (...lines: readonly string[]) => string
}

interface NodeOptions {
  readonly data: string
  readonly host: string
  readonly port: number
  readonly tlsCertificate?: string
  readonly tlsKey?: string
  readonly passwordFile?: string
}

/** The event store node by itself, and what can be done with the files it keeps. */
export function addEventStore(root: Command, surroundings: Surroundings): void {
  const { examples } = surroundings
  const eventStore = root
    .command('event-store')
    .description('Run the embedded event store node by itself, for any EventStoreDB client, until Ctrl-C.')
    .requiredOption('--data <dir>', 'where it keeps its log')
    .option('--host <address>', 'the address to listen on', '127.0.0.1')
    .option('--port <number>', 'the port to listen on; 0 takes a free one', port, 2113)
    .option('--tls-certificate <file>', 'serve over TLS with this certificate, in PEM')
    .option('--tls-key <file>', "the certificate's private key, in PEM")
    .option('--password-file <file>', 'ask for the user admin and the password in this file; needs TLS')
    .addHelpText(
      'after',
      examples(
        'incident-ledger event-store --port 2113 --data ./events',
        'incident-ledger event-store --data ./events --tls-certificate node.crt --tls-key node.key --password-file password',
      ),
    )
    .action((options: NodeOptions, command: Command) => run(options, command, surroundings))

  eventStore
    .command('backup <file>')
    .description(
      'Copy the log into one new file, checked, as it stands at one moment; a node may be using it.',
    )
    .addHelpText('after', examples('incident-ledger event-store backup --data ./events events.backup'))
    .action(async (file: string, _, command: Command) => {
      const { backUpLog } = await import('../embedded/event-store/backup.ts')
      tellCopied('backed-up', file, await backUpLog(dataOf(command), file), command, surroundings)
    })

  eventStore
    .command('restore <file>')
    .description('Put a backup, checked, where a node will find it. Never overwrites a log.')
    .addHelpText('after', examples('incident-ledger event-store restore --data ./events events.backup'))
    .action(async (file: string, _, command: Command) => {
      const { restoreLog } = await import('../embedded/event-store/backup.ts')
      const data = dataOf(command)
      tellCopied('restored', data, await restoreLog(data, file), command, surroundings)
    })

  eventStore
    .command('fsck')
    .description('Walk the whole log and say what was checked and what is wrong; a node may be using it.')
    .addHelpText('after', examples('incident-ledger event-store fsck --data ./events'))
    .action((_, command: Command) => check(command, surroundings))
}

/** Runs the node until the signal aborts, and says where it listens once it does. */
async function run(options: NodeOptions, command: Command, surroundings: Surroundings): Promise<void> {
  const { runNode, terminal, signal, json } = surroundings
  const { data, host, port, tlsCertificate, tlsKey, passwordFile } = options
  if ((tlsCertificate === undefined) !== (tlsKey === undefined)) {
    command.error('error: --tls-certificate and --tls-key go together.')
  }
  const tls =
    tlsCertificate === undefined || tlsKey === undefined
      ? {}
      : { tls: { certificate: tlsCertificate, key: tlsKey } }
  const password = passwordFile === undefined ? {} : { password: await readPassword(passwordFile) }
  await runNode({ dataDir: data, host, port, ...tls, ...password }, signal, ({ url, port: taken }) => {
    if (json(command)) writeJson(terminal, { type: 'listening', url, port: taken, data })
    else
      terminal.out.write(`The event store serves on ${url} and keeps its log in ${data}. Ctrl-C stops it.\n`)
  })
}

async function readPassword(file: string): Promise<string> {
  const { readFile } = await import('node:fs/promises')
  const password = (await readFile(file, 'utf8')).replace(/\r?\n$/, '')
  if (password === '') throw new Error(`${file} is empty: it must hold the password`)
  return password
}

function tellCopied(
  type: 'backed-up' | 'restored',
  place: string,
  { bytes, events }: { readonly bytes: number; readonly events: number },
  command: Command,
  { terminal, json }: Surroundings,
): void {
  if (json(command)) writeJson(terminal, { type, place, bytes, events })
  else
    terminal.out.write(
      `${type === 'restored' ? 'Restored' : 'Backed up'} ${events} events, ${bytes} bytes, to ${place}.\n`,
    )
}

async function check(command: Command, { terminal, json, end }: Surroundings): Promise<void> {
  const [{ checkLog }, { logFile }] = await Promise.all([
    import('../embedded/event-store/fsck.ts'),
    import('../embedded/event-store/database.ts'),
  ])
  let faultCount = 0
  for (const { what, checked, faults } of checkLog(logFile(dataOf(command)))) {
    faultCount += faults.length
    if (json(command)) writeJson(terminal, { type: 'check', what, checked, faults })
    else {
      terminal.out.write(`${faults.length === 0 ? 'ok   ' : 'FAULT'}  ${what} (${checked})\n`)
      for (const fault of faults) terminal.out.write(`       ${fault}\n`)
    }
  }
  if (faultCount === 0) return
  end(exitCode.failed)
  terminal.err.write(
    'incident-ledger: the log has faults. Reads go on where they can; a backup can be restored.\n',
  )
}

function dataOf(command: Command): string {
  return command.optsWithGlobals<{ data: string }>().data
}

function port(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new InvalidArgumentError('It must be a number from 0 to 65535.')
}
