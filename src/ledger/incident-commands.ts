import { setTimeout as pause } from 'node:timers/promises'
import {
  decide,
  type IncidentCommand,
  type IncidentEvent,
  type IncidentId,
  isReported,
  type Refusal,
  unreported,
} from '../aggregates/incident/index.ts'
import { type Account, accountOf, advanced, emptyAccount, openAccounts, revisionOf } from './account.ts'
import { appendedAnswer, firstAnswer, standingAnswer } from './answer.ts'
import { jittered } from './append.ts'
import { type Chain, type ChainLowerBound, openChain } from './chain.ts'
import { openCommandQueue } from './command-queue.ts'
import { LedgerError, type LedgerFault } from './errors.ts'
import type { IncidentRecord } from './event.ts'
import { newIncidentId, reportedIncidentId } from './identity.ts'
import type { IncidentJournal } from './incident-journal.ts'
import type { ChangeCommand, CommandAnswer, CommandContext, IncidentCommands } from './ledger.ts'
import type { PinBoard } from './pin.ts'
import { doPinned, type Plan } from './pinned-command.ts'
import { openRequest, type Request, type RequestTerms } from './request.ts'

export interface CommandDesk extends RequestTerms {
  readonly journal: IncidentJournal
  readonly pins: PinBoard
  readonly chainLowerBound?: ChainLowerBound | undefined
}

type Report = Parameters<IncidentCommands['report']>[0]

const longestLine = 1_000
const mostAttempts = 50
const conflictPauseMs = 10

/**
 * Load, decide, append at the exact revision; where another writer was there first, again. What is kept from before may only
 * feed an append, which the revision guards: every answer without one is decided on what the store holds just then.
 */
export function openIncidentCommands(desk: CommandDesk): IncidentCommands {
  const { journal, pins } = desk
  const queue = openCommandQueue(longestLine)
  const accounts = openAccounts()

  return {
    report: async (report, context) => {
      const request = openRequest(context, desk)
      const { idempotency } = context
      const { externalKey } = report.body
      const id = idempotency
        ? reportedIncidentId(idempotency.scope, idempotency.key)
        : newIncidentId(desk.clock())
      const chain =
        externalKey === undefined
          ? undefined
          : openChain(journal, report.origin, externalKey, desk.chainLowerBound)

      if (request.mark && (chain || idempotency?.pinned)) {
        return doPinned(journal, pins, {
          request,
          mark: request.mark,
          plan: () => planReport(chain, id, report, request),
          command: (target) => reportOf(target, report, request),
        })
      }
      return chain ? reportInto(chain, report, request) : reportNew(id, report, request)
    },

    change: (id, command, context) => changeOf(async () => id, command, context),

    changeLatest: ({ origin, externalKey }, command, context) =>
      changeOf(openChain(journal, origin, externalKey, desk.chainLowerBound).latest, command, context),
  }

  async function changeOf(
    target: () => Promise<IncidentId>,
    command: ChangeCommand,
    context: CommandContext,
  ): Promise<CommandAnswer> {
    const request = openRequest(context, desk)
    if (request.mark && context.idempotency?.pinned) {
      return doPinned(journal, pins, {
        request,
        mark: request.mark,
        plan: async () => planChange(await target(), command, request),
        command: () => ({ ...command, ...request.now() }),
      })
    }
    const id = await target()
    return queue.run(id, request.until, () => change(id, command, request))
  }

  /** One append and no read: whether the incident is new is for the store to say. */
  async function reportNew(id: IncidentId, report: Report, request: Request): Promise<CommandAnswer> {
    const attempt = await create(id, report, request)
    if ('outcome' in attempt) return attempt
    const first = request.mark && firstAnswer(id, await journal.read(id), request.mark)
    if (first) return first
    throw new LedgerError(attempt)
  }

  async function reportInto(chain: Chain, report: Report, request: Request): Promise<CommandAnswer> {
    for (let attempts = 1; attempts <= mostAttempts; attempts += 1) {
      const place = await chain.place()
      if ('joins' in place) return standingAnswer('joined', place.joins, place.records)
      const attempt = await create(place.creates, report, request)
      if ('outcome' in attempt) return attempt
      if (attempt.code !== 'incident-exists') throw new LedgerError(attempt)
    }
    throw new LedgerError({ code: 'contended' })
  }

  async function create(id: IncidentId, report: Report, request: Request): Promise<CommandAnswer | Refusal> {
    const decision = decide(reportOf(id, report, request), unreported)
    if (!decision.ok) return decision.refusal
    return (await append(id, emptyAccount(), decision.events, request)) ?? { code: 'incident-exists' }
  }

  async function change(id: IncidentId, command: ChangeCommand, request: Request): Promise<CommandAnswer> {
    const kept = accounts.get(id)
    let standing: Standing = kept ? { account: kept } : await standingNow(id)
    for (let attempts = 1; attempts <= mostAttempts; attempts += 1) {
      const course = courseOf(command, standing.account, request)
      if ('append' in course) {
        const answer = await append(id, standing.account, course.append, request)
        if (answer) return answer
        await pause(jittered(conflictPauseMs))
      } else if (standing.records) {
        return course.answer(id, standing.records)
      }
      standing = await standingNow(id)
    }
    throw new LedgerError({ code: 'contended' })
  }

  async function standingNow(id: IncidentId): Promise<Standing> {
    const records = await journal.read(id)
    return { account: accountOf(id, records), records }
  }

  /** Undefined where another writer was there first. */
  async function append(
    id: IncidentId,
    account: Account,
    events: readonly IncidentEvent[],
    request: Request,
  ): Promise<CommandAnswer | undefined> {
    accounts.drop(id) // until it is known what became of it
    const { provenance, until } = request
    const entries = events.map((event) => ({ event, provenance }))
    const written = await journal.write(id, revisionOf(account.state), entries, until, account.keyIds)
    if (written === 'conflict') return undefined
    const after = advanced(id, account, written.records)
    // Most incidents are reported and let be for a while: those are not worth the room, nor the time.
    if (isReported(account.state)) accounts.keep(id, after)
    return appendedAnswer(after.state, written)
  }

  async function planReport(
    chain: Chain | undefined,
    newId: IncidentId,
    report: Report,
    request: Request,
  ): Promise<Plan> {
    const place = chain ? await chain.place() : { creates: newId }
    if ('joins' in place) {
      return { target: place.joins, revision: place.records.length - 1, answer: { outcome: 'joined' } }
    }
    const target = place.creates
    const decision = decide(reportOf(target, report, request), unreported)
    if (decision.ok) return { target, revision: -1 }
    return { target, revision: -1, answer: { outcome: 'refused', refusal: decision.refusal } }
  }

  async function planChange(target: IncidentId, command: ChangeCommand, request: Request): Promise<Plan> {
    const { account } = await standingNow(target)
    const revision = revisionOf(account.state)
    if (request.mark && account.marks.has(request.mark.key)) return { target, revision }
    const decision = decide({ ...command, ...request.now() }, account.state)
    if (!decision.ok) return { target, revision, answer: { outcome: 'refused', refusal: decision.refusal } }
    return decision.events.length > 0
      ? { target, revision }
      : { target, revision, answer: { outcome: 'unchanged' } }
  }
}

/** An account, and where it was read just now the records that it is of. */
interface Standing {
  readonly account: Account
  readonly records?: readonly IncidentRecord[]
}

/** What a command comes to: events to append, or an answer without any, which is only true of what was read just now. */
type Course =
  | { readonly append: readonly IncidentEvent[] }
  | { readonly answer: (id: IncidentId, records: readonly IncidentRecord[]) => CommandAnswer }

function courseOf(
  command: ChangeCommand,
  { state, marks }: Account,
  { context, mark, now }: Request,
): Course {
  if (mark && marks.has(mark.key)) {
    return {
      answer: (id, records) => firstAnswer(id, records, mark) ?? standingAnswer('unchanged', id, records),
    }
  }
  const { expectedRevision: expected } = context
  if (expected !== undefined && isReported(state) && state.revision !== expected) {
    return refuse({ code: 'revision-mismatch', expected, actual: state.revision })
  }
  const decision = decide({ ...command, ...now() }, state)
  if (!decision.ok) return refuse(decision.refusal)
  if (decision.events.length > 0) return { append: decision.events }
  return { answer: (id, records) => standingAnswer('unchanged', id, records) }
}

function refuse(fault: LedgerFault): Course {
  return {
    answer: () => {
      throw new LedgerError(fault)
    },
  }
}

function reportOf(id: IncidentId, { body, origin, originRef }: Report, { now }: Request): IncidentCommand {
  return { type: 'Report', id, body, origin, originRef, ...now() }
}
