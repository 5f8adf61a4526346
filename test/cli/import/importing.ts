/** An import into a ledger in memory: the real ledger on a store that only a test has. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import type { Instant } from '../../../src/aggregates/incident/index.ts'
import type { Format, Problem, SourceRow } from '../../../src/cli/import/plan.ts'
import { type ImportOptions, importFile } from '../../../src/cli/import/run.ts'
import { columns } from '../../../src/cli/import/servicenow-update.ts'
import type { IncidentRecord } from '../../../src/ledger/event.ts'
import type { MemoryStore } from '../../ledger/support/memory-store.ts'
import { ledgerOn } from '../../ledger/support/requests.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

export const origin = 'import:test'
export const extract = fileURLToPath(new URL('../../data/servicenow-extract.csv', import.meta.url))
export const wholeLog = fileURLToPath(
  new URL('../../data/servicenow-incident-events.csv.gz', import.meta.url),
)

/** Straight from the whole log, with nothing of ours between: how many incidents were in which status by then. */
export async function statusesInTheLog(moment: Instant) {
  const [, ...rows] = gunzipSync(await readFile(wholeLog))
    .toString('latin1')
    .split('\n')
  const states = new Map<string, string>()
  for (const row of rows) {
    const cells = row.split(',')
    const [number = '', state = ''] = cells
    // DD-MM-YYYY HH:MM
    const [day, month, year, time] = (cells[13] ?? '').split(/[- ]/)
    if (number && `${year}-${month}-${day}T${time}:00.000Z` <= moment) states.set(number, state)
  }
  const count = (...of: readonly string[]) =>
    [...states.values()].filter((state) => of.some((beginning) => state.startsWith(beginning))).length
  return {
    new: count('New'),
    in_progress: count('Active'),
    on_hold: count('Awaiting '),
    resolved: count('Resolved'),
    closed: count('Closed'),
  }
}

export async function imported<Row extends SourceRow>(
  format: Format<Row>,
  file: string,
  store: MemoryStore,
  options: Partial<ImportOptions> = {},
) {
  const problems: Problem[] = []
  const summary = await importFile(format, {
    ledger: await ledgerOn(store),
    file,
    origin,
    signal: new AbortController().signal,
    onProblem: (problem) => problems.push(problem),
    onProgress: () => {},
    ...options,
  })
  return { summary, problems }
}

/** Imports a file of this text. */
export async function importedText<Row extends SourceRow>(
  format: Format<Row>,
  text: string,
  store: MemoryStore,
) {
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'incidents')
  await writeFile(file, text)
  return await imported(format, file, store)
}

/** The events of a store's incidents, without what differs from run to run. */
export async function eventsIn(store: MemoryStore) {
  const records = await recordsIn(store)
  return records.map(({ event, metadata }) => ({
    type: event.type,
    data: Object(event.data),
    at: event.at,
    by: metadata.actor.name,
  }))
}

/** The events of a store's incidents, opened. */
export async function recordsIn(store: MemoryStore): Promise<IncidentRecord[]> {
  const ledger = await ledgerOn(store)
  const { signal } = new AbortController()
  for await (const { records } of ledger.subscribe({ batchSize: 100_000, signal })) {
    await ledger.close()
    return records.filter((record) => record.kind === 'incident')
  }
  return []
}

const usual: Readonly<Record<string, string>> = {
  number: 'INC1',
  reassignment_count: '0',
  reopen_count: '0',
  opened_by: 'Opened by 8',
  opened_at: '29-02-2016 01:16',
  sys_updated_by: 'Updated by 21',
  contact_type: 'Phone',
  category: 'Category 55',
  subcategory: 'Subcategory 170',
  u_symptom: 'Symptom 72',
  priority: '3 - Moderate',
  assignment_group: 'Group 56',
}

/** A CSV file of rows that say the usual save for this. Times are `HH:MM` of 1 March 2016 where `at` gives them. */
export function csvOf(...rows: readonly Readonly<Record<string, string>>[]): string {
  const lines = rows.map(({ at = '09:00', state = 'New', ...values }) => {
    const row = { ...usual, sys_updated_at: `01-03-2016 ${at}`, incident_state: state, ...values }
    return columns.map((column) => row[column as keyof typeof row] ?? '?').join(',')
  })
  return `${columns.join(',')}\n${lines.join('\n')}\n`
}
