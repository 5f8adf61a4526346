/**
 * A ledger and a read model in memory, as the HTTP layer sees them: the real aggregate decides, everything else is plain
 * maps. Announcements can be held back, and each part can be made to fail.
 */

import { randomUUID } from 'node:crypto'
import {
  decide,
  evolve,
  type IncidentCommand,
  type IncidentEvent,
  type IncidentId,
  type IncidentState,
  type Instant,
  incidentId,
  instantOf,
  isReported,
  type TimelessCommand,
  unreported,
} from '../../../src/aggregates/incident/index.ts'
import { LedgerError } from '../../../src/ledger/errors.ts'
import type { IncidentRecord, LedgerPosition } from '../../../src/ledger/event.ts'
import type {
  CommandAnswer,
  CommandContext,
  IncidentCommands,
  IncidentHistory,
  Moment,
} from '../../../src/ledger/ledger.ts'
import { listedEvent } from '../../../src/projections/listed-event.ts'
import type { Announced, Announcements, Queries } from '../../../src/projections/read-model.ts'
import { memoryQueries } from './in-memory-queries.ts'

export interface InMemoryLedger {
  readonly incidents: Pick<IncidentCommands, 'report' | 'change'>
  readonly history: IncidentHistory
  readonly queries: Queries
  readonly announcements: Announcements
  /** Announcements wait until `release`; commands and queries with a position do too. */
  readonly hold: () => void
  readonly release: () => void
  /** Whether it is certain what is announced; false makes `current` undefined. */
  readonly setFresh: (fresh: boolean) => void
  /** What the next calls to a part throw, until undefined. */
  readonly failing: { commands?: Error | undefined; history?: Error | undefined; queries?: Error | undefined }
  /** How many queries reached the read model. */
  readonly asked: { incidents: number; events: number }
  /** Every event so far, in order. */
  readonly records: readonly IncidentRecord[]
  readonly contexts: readonly CommandContext[]
}

/** How long a moment is provisional here. */
export const provisionalMs = 6_000

export function inMemoryLedger(clock: () => number): InMemoryLedger {
  const records: IncidentRecord[] = []
  const contexts: CommandContext[] = []
  const answers = new Map<string, { readonly request: string; readonly answer: CommandAnswer }>()
  const listeners = new Set<(announced: Announced) => void>()
  const failing: InMemoryLedger['failing'] = {}
  const asked = { incidents: 0, events: 0 }
  let announcedIndex = -1
  let held = false
  let fresh = true

  const recordsOf = (id: IncidentId) => records.filter((record) => record.incidentId === id)
  const stateOf = (id: IncidentId, upTo = Number.POSITIVE_INFINITY) =>
    recordsOf(id)
      .slice(0, upTo)
      .reduce<IncidentState>((state, { event }) => evolve(id, state, event), unreported)

  function announce(): void {
    if (held) return
    announcedIndex = records.length - 1
    const announced = current()
    for (const listener of listeners) listener(announced)
  }

  const current = (): Announced => ({
    index: announcedIndex,
    position: positionAt(announcedIndex),
    generation: 1,
  })

  function run(id: IncidentId, command: TimelessCommand, context: CommandContext): CommandAnswer {
    const state = stateOf(id)
    if (context.expectedRevision !== undefined && isReported(state)) {
      const { expectedRevision: expected } = context
      if (state.revision !== expected) {
        throw new LedgerError({ code: 'revision-mismatch', expected, actual: state.revision })
      }
    }
    const now = instantOf(clock())
    const timed = { ...command, at: now, recordedAt: now } as IncidentCommand // a timeless command and its time
    const decision = decide(timed, state)
    if (!decision.ok) throw new LedgerError(decision.refusal)
    const appended = decision.events.map((event) => append(id, event, context))
    announce()
    const outcome = command.type === 'Report' ? 'created' : appended.length > 0 ? 'changed' : 'unchanged'
    return answered(id, outcome, appended)
  }

  function answered(id: IncidentId, outcome: CommandAnswer['outcome'], appended: readonly IncidentRecord[]) {
    const incident = stateOf(id)
    if (!isReported(incident)) throw new Error('no incident')
    return { outcome, incident, records: appended, position: positionAt(records.length - 1) }
  }

  function append(id: IncidentId, event: IncidentEvent, context: CommandContext) {
    const record: IncidentRecord = {
      kind: 'incident',
      id: randomUUID(),
      stream: `incident-${id}`,
      revision: recordsOf(id).length,
      position: positionAt(records.length),
      incidentId: id,
      keyId: 'a key.0',
      event,
      metadata: {
        $correlationId: context.correlationId,
        actor: context.actor,
        at: event.at,
        recordedAt: event.recordedAt,
        schemaVersion: 1,
        ...(context.traceparent && { traceparent: context.traceparent }),
      },
    }
    records.push(record)
    return record
  }

  /** The first answer again for a request that is known by its key. */
  async function once(context: CommandContext, command: () => CommandAnswer): Promise<CommandAnswer> {
    contexts.push(context)
    if (failing.commands) throw failing.commands
    const { idempotency } = context
    if (!idempotency) return command()
    const name = JSON.stringify([idempotency.scope, idempotency.key])
    const request = JSON.stringify(idempotency.request)
    const known = answers.get(name)
    if (known && known.request !== request) throw new LedgerError({ code: 'idempotency-key-reused' })
    const answer = known?.answer ?? command()
    if (answer.outcome !== 'unchanged') answers.set(name, { request, answer })
    return answer
  }

  const incidents: InMemoryLedger['incidents'] = {
    report: (report, context) =>
      once(context, () => {
        const open =
          report.body.externalKey &&
          [...new Set(records.map((record) => record.incidentId))]
            .map((id) => stateOf(id))
            .filter(isReported)
            .find(
              ({ origin, externalKey, status }) =>
                externalKey !== null &&
                origin === report.origin &&
                externalKey === report.body.externalKey &&
                status !== 'resolved' &&
                status !== 'closed',
            )
        if (open) return answered(open.id, 'joined', [])
        const id = incidentId.parse(randomUUID())
        return run(id, { type: 'Report', id, ...report }, context)
      }),
    change: (id, command, context) => once(context, () => run(id, command, context)),
  }

  const history: IncidentHistory = {
    events: async (id) => {
      if (failing.history) throw failing.history
      const found = recordsOf(id)
      if (found.length === 0) throw new LedgerError({ code: 'incident-not-found' })
      return found
    },
    disclosures: async (id) => (await history.events(id)).map(() => ({})),
    stateAt: async (id, moment) => {
      const found = await history.events(id)
      const count = found.filter(({ event, revision }) => isWithin(moment, event, revision)).length
      const exact = 'revision' in moment && moment.revision >= found.length
      const incident = stateOf(id, count)
      if (exact || !isReported(incident)) throw new LedgerError({ code: 'not-yet-reported' })
      return { incident, provisional: isYoung(moment, clock()) }
    },
  }

  const announcements: Announcements = {
    current: () => (fresh ? current() : undefined),
    reached: async ({ commit }) => commit <= positionAt(announcedIndex).commit,
    listen: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }

  const queries = memoryQueries({
    incidents: () =>
      [...new Set(records.slice(0, announcedIndex + 1).map((record) => record.incidentId))].flatMap((id) => {
        const state = announcedState(id)
        return isReported(state) ? [state] : []
      }),
    events: () => records.slice(0, announcedIndex + 1).map(listedEvent),
    failing: () => failing.queries,
    asked,
  })

  function announcedState(id: IncidentId): IncidentState {
    return records
      .slice(0, announcedIndex + 1)
      .filter((record) => record.incidentId === id)
      .reduce<IncidentState>((state, { event }) => evolve(id, state, event), unreported)
  }

  return {
    incidents,
    history,
    queries,
    announcements,
    hold: () => {
      held = true
    },
    release: () => {
      held = false
      announce()
    },
    setFresh: (value) => {
      fresh = value
    },
    failing,
    asked,
    records,
    contexts,
  }
}

function isWithin(moment: Moment, event: IncidentEvent, revision: number): boolean {
  if ('revision' in moment) return revision <= moment.revision
  return 'asOf' in moment ? event.at <= moment.asOf : event.recordedAt <= moment.knownAt
}

function isYoung(moment: Moment, nowMs: number): boolean {
  if ('revision' in moment) return false
  const at: Instant = 'asOf' in moment ? moment.asOf : moment.knownAt
  return nowMs - Date.parse(at) < provisionalMs
}

function positionAt(index: number): LedgerPosition {
  const place = BigInt(index + 1) * 100n
  return { commit: place, prepare: place }
}
