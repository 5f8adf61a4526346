import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { PostgresProgram } from './postgres-program.ts'

const settings = [
  // Reached over loopback TCP with a password. A socket's path has a length limit, which a deep DATA_DIR would exceed.
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  // Twice the default, and still little for a laptop.
  'shared_buffers=256MB',
  // A laptop has an SSD: a random page costs little more than the next one.
  'random_page_cost=1.1',
  // The queries are short: compiling one costs more than it saves.
  'jit=off',
  // Nobody replicates from here. A rebuild's tables, filled in the transaction that made them, then need no log.
  'wal_level=minimal',
  'max_wal_senders=0',
  // After a checkpoint each page is logged whole once: fewer checkpoints, a smaller log.
  'checkpoint_timeout=15min',
  // Not the zone of the machine that the data directory happened to be made on.
  'timezone=UTC',
  // Refused statements and their values are the client's to report: they may quote what a caller sent.
  'log_min_messages=log',
  'log_checkpoints=off',
  // So that a line begins with its severity.
  'log_line_prefix=',
]

/** Within the 10 s in which the service stops. */
const fastStopTimeoutMs = 7_000
/** Lines: enough for the reason of any end. */
const keptWords = 20

/** A server that accepts connections; `ended` resolves to its last words. */
export type Server = { readonly ended: Promise<string> }

/**
 * Starts a server and waits until it accepts connections, however long it needs to recover. `closing` stops it in order.
 * Throws an Error with its last words when it ends before.
 */
export async function launchServer(
  program: PostgresProgram,
  cluster: string,
  port: number,
  log: (line: string) => void,
  closing: AbortSignal,
): Promise<Server> {
  const options = settings.flatMap((setting) => ['-c', setting])
  const child = program.spawn(
    'postgres',
    cluster,
    ['-p', String(port), ...options],
    ['ignore', 'ignore', 'pipe'],
  )
  const words: string[] = []
  const ready = Promise.withResolvers<true>()
  if (child.stderr) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      words.push(line)
      if (words.length > keptWords) words.shift()
      if (line.includes('database system is ready to accept connections')) {
        words.length = 0
        ready.resolve(true)
      }
      if (isWorthTelling(line) && !closing.aborted) log(`Postgres: ${line}`)
    })
  }
  const ended = lastWords(child, words)

  const stop = () => {
    child.kill('SIGINT')
    // Not in order any more, yet without loss: it recovers from its log at the next start.
    const impatience = setTimeout(() => child.kill('SIGQUIT'), fastStopTimeoutMs)
    void ended.finally(() => clearTimeout(impatience))
  }
  if (closing.aborted) stop()
  closing.addEventListener('abort', stop, { once: true })
  void ended.finally(() => closing.removeEventListener('abort', stop))

  if ((await Promise.race([ready.promise, ended])) !== true) throw new Error(await ended)
  return { ended }
}

/** Resolves when the server has ended: to how, below what it said last. */
async function lastWords(child: ChildProcess, words: readonly string[]): Promise<string> {
  const outputClosed = once(child, 'close')
  outputClosed.catch(() => {})
  try {
    const [code, signal] = await once(child, 'exit')
    // Children of a killed server may hold its output open for as long as a query of theirs takes.
    if (signal) return `killed by ${signal}`
    await outputClosed
    return [...words, `exit code ${code}`].join('\n')
  } catch (error) {
    return `FATAL: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** What is fatal to one connection its client hears. */
function isWorthTelling(line: string): boolean {
  return /^PANIC:|was terminated by signal|automatic recovery in progress/.test(line)
}
