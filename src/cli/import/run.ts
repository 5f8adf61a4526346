import { randomUUID } from 'node:crypto'
import { instantOf, type Status, statuses } from '../../aggregates/incident/index.ts'
import { LedgerError } from '../../ledger/errors.ts'
import type { Actor } from '../../ledger/event.ts'
import type { ImportAnswer, Keyring, Ledger } from '../../ledger/ledger.ts'
import { byIncident, survey } from './incidents.ts'
import {
  type Format,
  type IncidentPlan,
  isProblem,
  type PlanContext,
  type Problem,
  problemKinds,
  type SourceRow,
} from './plan.ts'
import { eachOf } from './pool.ts'
import { refusalSentence } from './refusal.ts'

const incidentsAtOnce = 32

export interface ImportOptions {
  readonly ledger: Pick<Ledger, 'importIncident' | 'keyring'>
  readonly file: string
  /** Of all incidents in the file; with its number there it is an incident's identity. */
  readonly origin: string
  /** Ends the import after what is under way. */
  readonly signal: AbortSignal
  readonly onProblem: (problem: Problem) => void
  readonly onProgress: (rowsDone: number, rowsInFile: number) => void
}

export interface ImportSummary {
  readonly rows: { readonly inFile: number } & Readonly<Record<RowFate, number>>
  /** Of the incidents that this run went through. */
  readonly incidents: {
    readonly total: number
    /** Of which got at least one event. */
    readonly written: number
    readonly reopenings: number
    readonly byStatus: Readonly<Record<Status, number>>
  }
  readonly eventsAppended: number
  readonly problems: Readonly<Record<Problem['kind'], number>>
  readonly seconds: number
  /** Why the end of the file was not reached. */
  readonly stopped?: 'interrupted' | LedgerError
}

/**
 * written: the row brought at least one event. present: an earlier run brought it, or the ledger knew. unchanged: the row says
 * nothing that the ledger keeps and the row before did not say. notTaken: it, or a part of it, could not be taken.
 */
type RowFate = 'written' | 'present' | 'unchanged' | 'notTaken'

/**
 * Takes the incidents of a file into the ledger, several at once, each one's rows in the order of the file. The file is read twice:
 * first as a whole, so that nothing is written of one that is malformed. To run again, after a stop or not, doubles nothing.
 * @throws MalformedFile, or the error with which the file could not be read.
 */
export async function importFile<Row extends SourceRow>(
  format: Format<Row>,
  { ledger, file, origin, signal, onProblem, onProgress }: ImportOptions,
): Promise<ImportSummary> {
  const startedMs = Date.now()
  const correlationId = randomUUID()
  const context: PlanContext = {
    origin,
    now: instantOf(startedMs),
    actorOf: actorsOf(origin, ledger.keyring),
  }
  const found = await survey(format.rows(file))
  const tally = newTally()

  function tell(problem: Problem) {
    tally.problems[problem.kind] += 1
    onProblem(problem)
  }

  function done(fates: readonly RowFate[]) {
    for (const fate of fates) tally.rows[fate] += 1
    tally.rowsDone += fates.length
    onProgress(tally.rowsDone, found.rows)
  }

  async function take(rows: readonly Row[] | Problem) {
    if (isProblem(rows)) {
      tell(rows)
      return done(['notTaken'])
    }
    const plan = format.plan(rows, context)
    for (const problem of plan.problems) tell(problem)
    const externalKey = rows[0]?.number
    if (externalKey === undefined || plan.steps.length === 0) return done(fatesOf(rows, plan.problems))
    const answer = await ledger.importIncident({ origin, externalKey, correlationId, steps: plan.steps })
    const afterwards = problemsOf(externalKey, plan, answer)
    for (const problem of afterwards) tell(problem)
    count(answer)
    done(fatesOf(rows, [...plan.problems, ...afterwards], plan, answer))
  }

  function count({ incident, eventsAppended }: ImportAnswer) {
    tally.eventsAppended += eventsAppended
    if (!incident) return
    tally.incidents.total += 1
    tally.incidents.written += eventsAppended > 0 ? 1 : 0
    tally.incidents.reopenings += incident.reopenCount
    tally.incidents.byStatus[incident.status] += 1
  }

  const failure = await eachOf(byIncident(format.rows(file), found), incidentsAtOnce, signal, take).catch(
    (error: unknown) => {
      if (error instanceof LedgerError) return error
      throw error
    },
  )
  const { rows, incidents, eventsAppended, problems } = tally
  const stopped = failure ?? (tally.rowsDone < found.rows ? ('interrupted' as const) : undefined)
  return {
    rows: { inFile: found.rows, ...rows },
    incidents,
    eventsAppended,
    problems,
    seconds: (Date.now() - startedMs) / 1_000,
    ...(stopped && { stopped }),
  }
}

/** People are known by a keyed hash of their name there, which tells nobody who they are, and their name beside it for people. */
function actorsOf(origin: string, keyring: Keyring): PlanContext['actorOf'] {
  const unnamed: Actor = { kind: 'import', id: origin, name: origin }
  return (person) =>
    person === undefined
      ? unnamed
      : {
          kind: 'import',
          id: keyring.mac('person', JSON.stringify([origin, person])).toString('base64url'),
          name: person,
        }
}

/** What only the ledger could see: rows that it refuses, and times that it clamps. */
function problemsOf(number: string, { steps }: IncidentPlan, answer: ImportAnswer): readonly Problem[] {
  const planned = new Map(steps.map((step) => [step.ordinal, step]))
  return answer.steps.flatMap((taken): readonly Problem[] => {
    const step = planned.get(taken.ordinal)
    if (!step) return []
    const { line, at } = step
    if (taken.outcome === 'refused') {
      return [{ kind: 'not-taken', line, number, reason: refusalSentence(taken.refusal) }]
    }
    if (taken.outcome !== 'appended' || taken.at === at) return []
    const reason = `its time, ${at}, is still to come or before the incident's last change: kept as ${taken.at}`
    return [{ kind: 'clamped', line, number, reason }]
  })
}

function fatesOf(
  rows: readonly SourceRow[],
  problems: readonly Problem[],
  plan?: IncidentPlan,
  answer?: ImportAnswer,
): readonly RowFate[] {
  const outcomes = new Map(answer?.steps.map(({ ordinal, outcome }) => [ordinal, outcome]))
  const notTaken = linesOf(problems.filter(({ kind }) => kind === 'not-taken'))
  const planned = linesOf(plan?.steps ?? [])
  const written = linesOf((plan?.steps ?? []).filter(({ ordinal }) => outcomes.get(ordinal) === 'appended'))
  return rows.map(({ line }) => {
    if (notTaken.has(line)) return 'notTaken'
    if (written.has(line)) return 'written'
    return planned.has(line) ? 'present' : 'unchanged'
  })
}

function linesOf(items: readonly { readonly line: number }[]): ReadonlySet<number> {
  return new Set(items.map(({ line }) => line))
}

function newTally() {
  const zeroes = <Key extends string>(keys: readonly Key[]) =>
    Object.fromEntries(keys.map((key) => [key, 0])) as Record<Key, number> // fromEntries forgets the keys
  return {
    rows: zeroes(['written', 'present', 'unchanged', 'notTaken']),
    incidents: { total: 0, written: 0, reopenings: 0, byStatus: zeroes(statuses) },
    problems: zeroes(problemKinds),
    eventsAppended: 0,
    rowsDone: 0,
  }
}
