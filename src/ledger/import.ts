import canonicalize from 'canonicalize'
import {
  decide,
  evolve,
  type IncidentCommand,
  type IncidentId,
  type IncidentState,
  instantOf,
  isReported,
  type Occurrence,
} from '../aggregates/incident/index.ts'
import { accountOf, revisionOf } from './account.ts'
import { LedgerError } from './errors.ts'
import type { Mark } from './event.ts'
import { chainLinkId, importedStepId } from './identity.ts'
import type { IncidentJournal, JournalEntry } from './incident-journal.ts'
import type {
  ImportCommand,
  ImportedIncident,
  ImportIncident,
  ImportStep,
  ImportStepAnswer,
} from './ledger.ts'
import type { RequestTerms } from './request.ts'

const mostAttempts = 50
/** The event store refuses an append above 1 MiB. */
const mostEntriesPerAppend = 500
const mostBytesPerAppend = 800_000
/** What an event takes beside its data, at the very most. */
const envelopeBytes = 4_000

export function openImport(journal: IncidentJournal, terms: RequestTerms): ImportIncident {
  return async (incident) => {
    const id = chainLinkId(incident.origin, incident.externalKey, 0)
    const answers = new Map<ImportStep, ImportStepAnswer>()
    let eventsAppended = 0

    for (let attempts = 1; attempts <= mostAttempts; attempts += 1) {
      const { state, marks, keyIds } = accountOf(id, await journal.read(id))
      const lastFound = incident.steps.findLastIndex((step) => marks.has(stepId(incident, step)))
      for (const step of incident.steps.slice(0, lastFound + 1)) {
        if (!answers.has(step)) answers.set(step, { ordinal: step.ordinal, outcome: 'skipped' })
      }
      const waiting = incident.steps.filter((step) => !answers.has(step))
      const drafts = draftsOf(id, incident, waiting, state, terms)
      if (await appendAll(drafts, revisionOf(state), keyIds)) {
        const last = drafts.at(-1)?.state ?? state
        return {
          id,
          eventsAppended,
          incident: isReported(last) ? last : undefined,
          steps: [...answers.values()],
        }
      }
    }
    throw new LedgerError({ code: 'contended' })

    /** False where another writer came between; what was appended until then is answered for. */
    async function appendAll(
      drafts: readonly Draft[],
      from: number,
      known: readonly string[],
    ): Promise<boolean> {
      let revision = from
      let keyIds = known
      for (const batch of batchesOf(drafts)) {
        const entries = batch.flatMap((draft) => draft.entries)
        const until = performance.now() + terms.appendDeadlineMs
        if (entries.length > 0) {
          const written = await journal.write(id, revision, entries, until, keyIds)
          if (written === 'conflict') return false
          keyIds = written.records.slice(-1).map(({ keyId }) => keyId)
        }
        revision += entries.length
        eventsAppended += entries.length
        for (const { step, answer } of batch) answers.set(step, answer)
      }
      return true
    }
  }
}

/** What becomes of a step, and the state after it. */
interface Draft {
  readonly step: ImportStep
  readonly entries: readonly JournalEntry[]
  readonly answer: ImportStepAnswer
  readonly state: IncidentState
}

function draftsOf(
  id: IncidentId,
  incident: ImportedIncident,
  steps: readonly ImportStep[],
  from: IncidentState,
  terms: RequestTerms,
): readonly Draft[] {
  const recordedAt = instantOf(terms.clock())
  let state = from
  return steps.map((step) => {
    const time = { at: step.at, recordedAt }
    const commands = step.commands.map((command) => timed(id, incident, command, time))
    const draft = draftOf(id, step, commands, state, {
      $correlationId: incident.correlationId,
      actor: step.actor,
      idempotency: markOf(incident, step, terms),
    })
    state = draft.state
    return draft
  })
}

function draftOf(
  id: IncidentId,
  step: ImportStep,
  commands: readonly IncidentCommand[],
  from: IncidentState,
  provenance: JournalEntry['provenance'],
): Draft {
  const { ordinal } = step
  const entries: JournalEntry[] = []
  let state = from
  for (const command of commands) {
    const decision = decide(command, state)
    if (!decision.ok) {
      const answer = { ordinal, outcome: 'refused', refusal: decision.refusal } as const
      return { step, entries: [], answer, state: from }
    }
    for (const event of decision.events) {
      state = evolve(id, state, event)
      entries.push({ event, provenance })
    }
  }
  const last = entries.at(-1)
  const answer: ImportStepAnswer = last
    ? { ordinal, outcome: 'appended', at: last.event.at }
    : { ordinal, outcome: 'unchanged' }
  return { step, entries, answer, state }
}

function timed(
  id: IncidentId,
  { origin, externalKey }: ImportedIncident,
  command: ImportCommand,
  time: Occurrence,
): IncidentCommand {
  return command.type === 'Report'
    ? { type: 'Report', id, body: { ...command.body, externalKey }, origin, ...time }
    : { ...command, ...time }
}

function stepId({ origin, externalKey }: ImportedIncident, { ordinal }: ImportStep): string {
  return importedStepId(origin, externalKey, ordinal)
}

function markOf(incident: ImportedIncident, step: ImportStep, { keyring }: RequestTerms): Mark {
  const said = canonicalize({ at: step.at, actor: step.actor, commands: step.commands }) ?? ''
  return { key: stepId(incident, step), requestHash: keyring.sign('request-hash', said) }
}

/** Whole steps together, as many as one append may have. */
function batchesOf(drafts: readonly Draft[]): readonly (readonly Draft[])[] {
  const batches: Draft[][] = []
  let entries = mostEntriesPerAppend
  let bytes = 0
  for (const draft of drafts) {
    const size = draft.entries.reduce((sum, entry) => sum + bytesOf(entry), 0)
    if (entries + draft.entries.length > mostEntriesPerAppend || bytes + size > mostBytesPerAppend) {
      batches.push([])
      entries = 0
      bytes = 0
    }
    batches.at(-1)?.push(draft)
    entries += draft.entries.length
    bytes += size
  }
  return batches
}

function bytesOf({ event }: JournalEntry): number {
  return Buffer.byteLength(JSON.stringify(event.data)) + envelopeBytes
}
