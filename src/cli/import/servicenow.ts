/**
 * The audit log of a ServiceNow instance as CSV, a row for each update of an incident, in the columns of the "Incident
 * management process enriched event log" (Amaral, Fantinato, Peres; UCI Machine Learning Repository). `?` is no value.
 */
import { allowedFrom, isReopening, type RevisionBody, type Status } from '../../aggregates/incident/index.ts'
import type { ImportCommand } from '../../ledger/ledger.ts'
import { type CsvRow, readCsv } from './csv.ts'
import {
  type Format,
  type IncidentPlan,
  isProblem,
  noteIdOf,
  type PlanContext,
  type PlannedStep,
  type Problem,
} from './plan.ts'
import { type Column, columns, type Update, update as updateSchema } from './servicenow-update.ts'

/** The format, for --help. */
export const serviceNowHelp = `A CSV file in UTF-8 with a header, a row for each update of an incident, oldest first.
Columns, of which others may stand beside: ${columns.join(', ')}.
Times are DD-MM-YYYY HH:MM in UTC; ? is no value. What an incident's row changes becomes events, with the
row's time and person. A row that cannot be taken, or differs from the source's own counts, is told with its line.
`

export type ServiceNowRow = CsvRow<Column> & { readonly number: string }

export const serviceNow: Format<ServiceNowRow> = { rows, plan }

async function* rows(file: string): AsyncGenerator<ServiceNowRow | Problem> {
  for await (const row of readCsv(file, columns)) {
    if (isProblem(row)) yield row
    else if (row.values.number !== undefined) yield { ...row, number: row.values.number }
    else yield { kind: 'not-taken', line: row.line, number: undefined, reason: 'number has no value' }
  }
}

/**
 * The first row that can be read reports the incident; where it is not New, at the earlier of opened_at and its own time, whence it
 * is brought to its state. Every row brings what differs from the one before, in one step: its ordinal is the row's place from 1,
 * the report's is 0. Times that run backwards are clamped to the last one.
 */
function plan(all: readonly ServiceNowRow[], { origin, actorOf }: PlanContext): IncidentPlan {
  const steps: PlannedStep[] = []
  const problems: Problem[] = []
  let standing: Standing | undefined
  for (const [place, { line, number, values }] of all.entries()) {
    const tell: Tell = (kind, reason) => problems.push({ kind, line, number, reason })
    const read = updateSchema.safeParse(values)
    if (!read.success) {
      for (const { path, message } of read.error.issues) tell('not-taken', `${path.join('.')} ${message}`)
      continue
    }
    const update = read.data
    if (standing === undefined) {
      standing = reportedBy(update)
      const actor = actorOf(update.openedBy ?? update.by)
      steps.push({ line, ordinal: 0, at: standing.at, actor, commands: [report(update)] })
    }
    const ordinal = place + 1
    const next = follow(standing, update, noteIdOf(origin, number, ordinal), tell)
    standing = next.standing
    if (next.commands.length > 0) {
      steps.push({ line, ordinal, at: standing.at, actor: actorOf(update.by), commands: next.commands })
    }
  }
  return { steps, problems }
}

type Tell = (kind: Problem['kind'], reason: string) => void

/** How an incident stands in the ledger after a row. */
type Standing = Pick<Update, 'state' | 'at' | 'title' | 'description' | 'assignee'> & {
  readonly status: Status
  readonly severity: NonNullable<Update['severity']>
  readonly reassignments: number
  readonly reopenings: number
}

function reportedBy(update: Update): Standing {
  const { openedAt } = update
  return {
    ...update,
    status: 'new',
    state: 'New',
    at: update.status !== 'new' && openedAt && openedAt < update.at ? openedAt : update.at,
    severity: update.severity ?? 'medium',
    reassignments: 0,
    reopenings: 0,
  }
}

function report({ title, description, severity = 'medium', assignee, openedAt }: Update): ImportCommand {
  const body = { title, description, severity, source: 'operator', assignee, labels: {} } as const
  return { type: 'Report', body: { ...body, ...(openedAt && { occurredAt: openedAt }) } }
}

/** What a row changes: details, severity and assignee first, for a closed incident's can change no more. */
function follow(before: Standing, update: Update, noteId: string, tell: Tell) {
  const backwards = update.at < before.at
  const at = backwards ? before.at : update.at
  if (backwards) tell('clamped', `its time, ${update.at}, is before that of the row above: kept as ${at}`)
  const revision = revised(before, update, tell)
  const progress = progressed(before, update, noteId, tell)
  const standing: Standing = {
    ...before,
    ...revision,
    ...progress.reached,
    at,
    reassignments: update.reassignments ?? before.reassignments,
    reopenings: update.reopenings ?? before.reopenings,
  }
  const reassigned = Object.hasOwn(revision, 'assignee') ? 1 : 0
  compare('reassignment_count', before.reassignments, standing.reassignments, reassigned, tell)
  compare('reopen_count', before.reopenings, standing.reopenings, progress.reopenings, tell)
  const commands: readonly ImportCommand[] = [
    ...(Object.keys(revision).length > 0 ? [{ type: 'Revise', body: revision } as const] : []),
    ...progress.commands,
  ]
  return { standing, commands }
}

function revised(before: Standing, update: Update, tell: Tell) {
  const { title, description, severity = before.severity, assignee } = update
  const revision = {
    ...(title !== before.title && { title }),
    ...(description !== before.description && { description }),
    ...(severity !== before.severity && { severity }),
    ...(assignee !== before.assignee && { assignee }),
  } satisfies RevisionBody
  const fields = Object.keys(revision)
  if (before.status !== 'closed' || fields.length === 0) return revision
  tell('not-taken', `changes ${fields.join(', ')} of an incident that is closed`)
  return {}
}

interface Progress {
  readonly commands: readonly ImportCommand[]
  readonly reopenings: number
  readonly reached: Partial<Pick<Standing, 'state' | 'status'>>
}

/** From one wait to another there is no change of status, but something to note. */
function progressed(before: Standing, { state, status }: Update, noteId: string, tell: Tell): Progress {
  const path = pathBetween(before.status, status)
  if (path === undefined) {
    tell('not-taken', `its state ${state} cannot follow ${before.state}`)
    return { commands: [], reopenings: 0, reached: {} }
  }
  const [first, ...rest] = path
  if (first === undefined) {
    const note = { type: 'AddNote', noteId, text: `${before.state} → ${state}` } as const
    return { commands: state === before.state ? [] : [note], reopenings: 0, reached: { state } }
  }
  if (rest.length > 0)
    tell('implied', `${state} cannot follow ${before.state} at once: ${first} comes between`)
  return {
    commands: path.map((to) => changeTo(to, to === status ? waitIn(state) : `Implied by ${state}`)),
    reopenings: isReopening(before.status, first) ? 1 : 0,
    reached: { state, status },
  }
}

function changeTo(status: Status, reason: string | undefined): ImportCommand {
  return { type: 'ChangeStatus', body: { status, ...(reason && { reason }) } }
}

/** We know one kind of waiting where the source knows several. */
function waitIn(state: string): string | undefined {
  return state.startsWith('Awaiting ') ? state : undefined
}

/** The fewest legal changes that lead from one status to another; undefined: none do. */
function pathBetween(from: Status, to: Status): readonly Status[] | undefined {
  const paths: (readonly Status[])[] = [[]]
  const seen = new Set([from])
  for (const path of paths) {
    const end = path.at(-1) ?? from
    if (end === to) return path
    for (const next of allowedFrom(end)) if (!seen.has(next)) paths.push([...path, next])
    for (const next of allowedFrom(end)) seen.add(next)
  }
  return undefined
}

function compare(count: string, before: number, after: number, shown: number, tell: Tell) {
  if (after - before === shown) return
  tell('count-differs', `${count} goes from ${before} to ${after}, where the file shows ${shown || 'none'}`)
}
