/** Incidents as JSON, an object a line, for every source that has no format of its own here. `ndjsonHelp` describes it. */
import { z } from 'zod'
import {
  instant,
  name,
  noteBody,
  reportBody,
  revisionBody,
  statusBody,
} from '../../aggregates/incident/index.ts'
import type { ImportCommand } from '../../ledger/ledger.ts'
import {
  type Format,
  type IncidentPlan,
  noteIdOf,
  type PlanContext,
  type PlannedStep,
  type Problem,
  type SourceRow,
} from './plan.ts'
import { readLines } from './text.ts'

/** The format, for --help and the documentation. */
export const ndjsonHelp = `A line is a JSON object, encoded in UTF-8, of one of four types:

  {"type":"report","externalKey":"4711","description":"Disk full","source":"monitoring"}
  {"type":"status","externalKey":"4711","status":"in_progress","reason":"On it"}
  {"type":"revision","externalKey":"4711","severity":"high","labels":{"host":"db-7"}}
  {"type":"note","externalKey":"4711","text":"Moved the logs"}

externalKey    what the incident is called where it comes from; it makes the incident
               the same one at every run
at             when it happened, such as 2026-01-31T09:00:00Z; without it: now
actor          the name of who did it; without it: the import
report         takes what POST /incidents takes (type may be left out)
revision       takes what PATCH /incidents/{id} takes
The lines of one incident are taken in their order; the first one reports it.`

interface NdjsonRow extends SourceRow {
  readonly entry: Readonly<Record<string, unknown>>
}

export const ndjson: Format<NdjsonRow> = { rows, plan }

async function* rows(file: string): AsyncGenerator<NdjsonRow | Problem> {
  for await (const { line: firstLine, text } of readLines(file)) {
    for (const [offset, line] of text.split('\n').entries()) {
      if (line.trim() !== '') yield rowFrom(line, firstLine + offset)
    }
  }
}

const identified = z.looseObject({ externalKey: name })

function rowFrom(text: string, line: number): NdjsonRow | Problem {
  const problem = (reason: string): Problem => ({ kind: 'not-taken', line, number: undefined, reason })
  const entry = parsed(text)
  if (entry === undefined) return problem('is no JSON')
  const read = identified.safeParse(entry)
  return read.success
    ? { line, number: read.data.externalKey, entry: Object(entry) }
    : problem(`has no externalKey that could tell its incident from others (${sentence(read.error)})`)
}

/**
 * A step has the place of its line among those of its incident as ordinal; the first one is the report. Times that run backwards
 * are clamped to the last one.
 */
function plan(all: readonly NdjsonRow[], { origin, actorOf, now }: PlanContext): IncidentPlan {
  const steps: PlannedStep[] = []
  const problems: Problem[] = []
  for (const [ordinal, { line, number, entry }] of all.entries()) {
    const tell = (kind: Problem['kind'], reason: string) => problems.push({ kind, line, number, reason })
    const read = readEntry(entry, noteIdOf(origin, number, ordinal))
    const [report, last] = [steps[0], steps.at(-1)]
    if (typeof read === 'string') tell('not-taken', read)
    else if (report && read.command.type === 'Report')
      tell('not-taken', `line ${report.line} reported it before`)
    else if (!report && read.command.type !== 'Report')
      tell('not-taken', 'comes before the report of its incident')
    else {
      const said = read.at ?? now
      const at = last && said < last.at ? last.at : said
      if (at !== said) tell('clamped', `its time, ${said}, is before that of the line above: kept as ${at}`)
      steps.push({ line, ordinal, at, actor: actorOf(read.actor), commands: [read.command] })
    }
  }
  return { steps, problems }
}

/** What the entry asks for, or what is wrong with it. */
function readEntry(entry: NdjsonRow['entry'], noteId: string) {
  const { type, at, actor, externalKey: _, ...body } = entry
  const head = envelope.safeParse({ type, at, actor })
  if (!head.success) return sentence(head.error)
  const command = commandOf(head.data.type, noteId).safeParse(body)
  return command.success ? { ...head.data, command: command.data } : sentence(command.error)
}

const envelope = z.object({
  type: z.enum(['report', 'status', 'revision', 'note']).default('report'),
  at: instant.optional(),
  actor: name.optional(),
})

function commandOf(type: z.output<typeof envelope>['type'], noteId: string) {
  switch (type) {
    case 'report':
      return reportBody
        .omit({ externalKey: true })
        .transform((body): ImportCommand => ({ type: 'Report', body }))
    case 'status':
      return statusBody.transform((body): ImportCommand => ({ type: 'ChangeStatus', body }))
    case 'revision':
      return revisionBody.transform((body): ImportCommand => ({ type: 'Revise', body }))
    case 'note':
      return noteBody.transform(({ text }): ImportCommand => ({ type: 'AddNote', noteId, text }))
    default:
      return type satisfies never
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function sentence({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(' ')).join('; ')
}
