import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { ScanState } from '../../audit/log-scan.ts'
import { type LogVerdict, verifyLog } from '../../audit/log-verification.ts'
import { type NoteVerifier, noteVerifier } from '../../audit/signed-note.ts'
import type { ExitCode } from '../exit-code.ts'
import { openProgress } from '../progress.ts'
import { serviceClient } from '../service-client.ts'
import type { Terminal } from '../terminal.ts'
import { type LogService, logOverHttp } from './log-over-http.ts'
import { type SavedScan, savedScan } from './saved-scan.ts'
import { tellLogVerdict } from './verdict.ts'

export interface VerifyLogOptions {
  readonly url: URL
  /** None: those that the service names, which then vouches for itself. */
  readonly verifiers: readonly NoteVerifier[]
  /** Files with notes or bundles kept from before. */
  readonly knownFiles: readonly string[]
  readonly accessKey: string | undefined
  /** Where the state of an interrupted verification is kept. */
  readonly stateFile: string
  readonly terminal: Terminal
  readonly json: boolean
  readonly signal: AbortSignal
}

const saveEveryMs = 10_000

/**
 * Verifies every entry, tile and note of a log that is served. Interrupted, it leaves a state file from which the same command goes on.
 * @throws Error of one line where the service cannot be asked.
 */
export async function verifyLogAt(options: VerifyLogOptions): Promise<ExitCode> {
  const { url, knownFiles, accessKey, stateFile, terminal, json, signal } = options
  const files = logOverHttp(serviceClient({ url, accessKey, signal }))
  const known = await Promise.all(knownFiles.map((file) => readFile(file, 'utf8')))
  const isGivenKeys = options.verifiers.length > 0
  const verifiers = isGivenKeys ? options.verifiers : await keysNamedBy(files)
  const saved = savedScan(stateFile, identity(url, verifiers))
  const from = await saved.load()
  if (from) terminal.err.write(`Going on after event ${from.size - 1}, where ${stateFile} says it stopped.\n`)

  const progress = openProgress(terminal, 'events')
  const keeper = keeperOf(saved)
  let verdict: LogVerdict
  try {
    verdict = await verifyLog({
      files,
      verifiers,
      known,
      from,
      signal,
      onProgress: async (size, of, state) => {
        progress.update(size, of)
        await keeper.passed(size, state)
      },
    })
  } catch (error) {
    progress.stop()
    const size = await keeper.stopped()
    if (size !== undefined)
      terminal.err.write(
        `Stopped after ${size} events. The same command goes on from there (state in ${stateFile}).\n`,
      )
    throw error
  }
  progress.stop()
  await saved.remove()
  return tellLogVerdict(verdict, {
    type: 'log',
    name: `The log at ${url.href}`,
    what: 'every event, tile and note of it',
    isGivenKeys,
    terminal,
    json,
  })
}

/** The keys that a log names as its own. */
export async function keysNamedBy(files: Pick<LogService, 'keys'>): Promise<readonly NoteVerifier[]> {
  return (await files.keys()).map((key) => noteVerifier(key))
}

/** Saves where the scan is now and then, and when it stops. */
function keeperOf(saved: SavedScan) {
  let savedAtMs = performance.now()
  let last: { readonly size: number; readonly state: () => ScanState | undefined } | undefined
  return {
    async passed(size: number, state: () => ScanState | undefined) {
      last = { size, state }
      if (performance.now() - savedAtMs < saveEveryMs) return
      const now = state()
      if (now) await saved.save(now)
      savedAtMs = performance.now()
    },
    /** @returns how far the saved state is; undefined where there is nothing to go on from. */
    async stopped(): Promise<number | undefined> {
      const now = last?.state()
      // Otherwise it is in the middle of a tile, and what was saved last holds.
      if (now === undefined || now.size !== last?.size) return undefined
      await saved.save(now)
      return now.size
    },
  }
}

/** What a state file is of: neither another log nor other keys go on from it. */
function identity(url: URL, verifiers: readonly NoteVerifier[]): string {
  return hash('sha256', JSON.stringify([url.href, verifiers.map(({ encoded }) => encoded).sort()]), 'hex')
}
