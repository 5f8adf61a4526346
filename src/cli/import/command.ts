import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { statuses } from '../../aggregates/incident/index.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { type ExitCode, exitCode } from '../exit-code.ts'
import { failureText } from '../failure.ts'
import { openProgress } from '../progress.ts'
import { type Terminal, writeJson, writeTable } from '../terminal.ts'
import type { Format, Problem, SourceRow } from './plan.ts'
import { problemKinds } from './plan.ts'
import { type ImportSummary, importFile } from './run.ts'

export interface ImportCommandOptions {
  readonly ledger: Pick<Ledger, 'importIncident' | 'keyring'>
  readonly terminal: Terminal
  readonly json: boolean
  readonly signal: AbortSignal
  readonly file: string
  readonly origin: string
}

/**
 * Before anything is opened for it.
 * @throws Error that names a file which is not there, may not be read, or is none: what comes out of a pipe cannot be read twice.
 */
export async function mustBeFile(file: string): Promise<void> {
  await access(file, constants.R_OK)
  if ((await stat(file)).isFile()) return
  throw new Error(
    `${file} is no file: an import reads its file twice, so save what comes out of a pipe first`,
  )
}

/** Imports a file, prints what there is to say of its rows as it goes, and a summary at the end. */
export async function importCommand<Row extends SourceRow>(
  format: Format<Row>,
  { ledger, terminal, json, signal, file, origin }: ImportCommandOptions,
): Promise<ExitCode> {
  const progress = openProgress(terminal, 'rows')
  const say = (problem: Problem) =>
    progress.line(json ? JSON.stringify({ type: 'problem', ...problem }) : problemLine(problem))
  const options = { ledger, file, origin, signal, onProblem: say, onProgress: progress.update }
  const summary = await importFile(format, options).finally(progress.stop)
  const stopped = summary.stopped && stopText(summary.stopped)
  if (json) writeJson(terminal, { type: 'summary', file, origin, ...summary, stopped })
  else writeSummary(terminal, file, summary)
  if (stopped) terminal.err.write(`${stopped}\n`)
  if (summary.stopped === 'interrupted') return exitCode.interrupted
  if (summary.stopped) return exitCode.failed
  return summary.rows.notTaken > 0 ? exitCode.rowsNotTaken : exitCode.done
}

function problemLine({ kind, line, number = '-', reason }: Problem): string {
  return `line ${line}  ${number}  ${kind}: ${reason}`
}

function stopText(stopped: NonNullable<ImportSummary['stopped']>): string {
  const why = stopped === 'interrupted' ? 'interrupted' : failureText(stopped)
  return `The import stopped: ${why}. Run it again and it goes on from there.`
}

function writeSummary(terminal: Terminal, file: string, summary: ImportSummary): void {
  const { rows, incidents, problems, eventsAppended, seconds } = summary
  const notReached = rows.inFile - rows.written - rows.present - rows.unchanged - rows.notTaken
  terminal.out.write(`\n${file}: ${eventsAppended} events written in ${seconds.toFixed(1)} s\n`)
  writeTable(terminal, [
    ['incidents', `${incidents.total}, of which ${incidents.written} got new events`],
    ...statuses.map((status) => [`  ${status}`, incidents.byStatus[status]] as const),
    ['  reopenings', incidents.reopenings],
    ['rows', rows.inFile],
    ['  written', rows.written],
    ['  there already', rows.present],
    ['  without a change', rows.unchanged],
    ['  not taken', rows.notTaken],
    ['  not reached', notReached],
    ['said of rows', ''],
    ...problemKinds.map((kind) => [`  ${kind}`, problems[kind]] as const),
  ])
}
