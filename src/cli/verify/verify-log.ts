import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { ScanState } from '../../audit/log-scan.ts'
import { type LogVerdict, verifyLog } from '../../audit/log-verification.ts'
import { type NoteVerifier, noteVerifier } from '../../audit/signed-note.ts'
import { type ExitCode, exitCode } from '../exit-code.ts'
import { openProgress } from '../progress.ts'
import { serviceClient } from '../service-client.ts'
import { type Terminal, writeJson, writeTable } from '../terminal.ts'
import { logOverHttp } from './log-over-http.ts'
import { type SavedScan, savedScan } from './saved-scan.ts'
import { keyName, writeFindings } from './verdict.ts'

export interface VerifyLogOptions {
  readonly url: URL
  /** None: those that the service names, which then vouches for itself. */
  readonly verifiers: readonly NoteVerifier[]
  /** Files with notes kept from before. */
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
  const verifiers = isGivenKeys ? options.verifiers : (await files.keys()).map((key) => noteVerifier(key))
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
  return told(verdict, isGivenKeys, { terminal, json, url })
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

function told(
  { note, events, streams, findings }: LogVerdict,
  isGivenKeys: boolean,
  { terminal, json, url }: Pick<VerifyLogOptions, 'terminal' | 'json' | 'url'>,
): ExitCode {
  const isVerified = findings.length === 0
  const code = isVerified ? exitCode.done : exitCode.notVerified
  const checkpoint = note?.checkpoint
  const signedBy = (note?.signedBy ?? []).map(keyName)
  const root = checkpoint?.root.toString('base64')
  if (json) {
    writeJson(terminal, {
      type: 'log',
      verified: isVerified,
      checkpoint: checkpoint && { origin: checkpoint.origin, size: checkpoint.size, root },
      signedBy,
      keysGiven: isGivenKeys,
      events,
      streams,
      findings,
    })
    return code
  }
  if (isVerified) {
    terminal.out.write(
      `The log at ${url.href} is the one that was signed: every event, tile and note of it\n`,
    )
    writeTable(terminal, [
      ['log', checkpoint?.origin],
      ['events', events],
      ['streams', streams],
      ['root', root],
      ['signed by', signedBy.join(' and ')],
    ])
  } else writeFindings(`The log at ${url.href} is NOT what was signed:`, findings, terminal)
  if (!isGivenKeys) {
    terminal.out.write(
      'No --key was given, so the keys are those that the log itself names: it could have signed another history for others.\n',
    )
  }
  return code
}

/** What a state file is of: neither another log nor other keys go on from it. */
function identity(url: URL, verifiers: readonly NoteVerifier[]): string {
  return hash('sha256', JSON.stringify([url.href, verifiers.map(({ encoded }) => encoded).sort()]), 'hex')
}
