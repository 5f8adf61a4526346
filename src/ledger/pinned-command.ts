import { decide, type IncidentCommand, type IncidentId } from '../aggregates/incident/index.ts'
import { accountOf, revisionOf } from './account.ts'
import { appendedAnswer, firstAnswer, standingAnswer } from './answer.ts'
import { LedgerError } from './errors.ts'
import type { IncidentRecord } from './event.ts'
import { type IncidentJournal, stateAfter } from './incident-journal.ts'
import type { CommandAnswer } from './ledger.ts'
import type { Pin, PinBoard } from './pin.ts'
import type { Request, RequestMark } from './request.ts'

export interface PinnedCommand {
  readonly request: Request
  readonly mark: RequestMark
  /** What it means, as things are now. */
  readonly plan: () => Promise<Plan>
  readonly command: (target: IncidentId) => IncidentCommand
}

export type Plan = Omit<Pin, 'requestHash'>

const mostPlans = 50

/**
 * Does a command whose every answer is to be remembered, also one that appends nothing. What it means is pinned first; then it
 * is done as pinned, by whoever comes to it: the first request or a repetition, also both at once.
 */
export async function doPinned(
  journal: IncidentJournal,
  pins: PinBoard,
  command: PinnedCommand,
): Promise<CommandAnswer> {
  const { mark, request, plan } = command
  const { key: id } = mark
  let { pin, place }: { pin?: Pin; place: number } = { place: -1 }
  for (let plans = 1; plans <= mostPlans; plans += 1) {
    pin = { ...(await plan()), requestHash: mark.requestHash }
    const isOurs = await pins.add(id, place, pin, request.until)
    if (isOurs) place += 1
    else ({ pin, place } = await pins.last(id))
    if (!pin) break
    mark.verify(pin.requestHash)
    // Where nobody can have done it yet, a new incident is begun without a look: that it is new is for the store to say.
    const begins = isOurs && pin.revision < 0 && pin.answer === undefined
    const answer = await settled(journal, pin, command, begins ? [] : undefined)
    if (answer) return answer
  }
  throw new LedgerError({ code: 'contended' })
}

/**
 * The answer to the command as it was pinned; undefined where the target has moved on without it, so that it cannot come true.
 * `supposed` are the target's events where they need not be read: they only feed an append, which the revision guards.
 */
async function settled(
  journal: IncidentJournal,
  pin: Pin,
  pinnedCommand: PinnedCommand,
  supposed?: readonly IncidentRecord[],
): Promise<CommandAnswer | undefined> {
  const { target, revision, answer } = pin
  const { request, mark, command } = pinnedCommand
  if (answer?.outcome === 'refused') throw new LedgerError(answer.refusal)
  const records = supposed ?? (await journal.read(target))
  if (answer) return standingAnswer(answer.outcome, target, records.slice(0, revision + 1))
  const first = firstAnswer(target, records, mark)
  if (first) return first

  const { state, keyIds } = accountOf(target, records)
  if (revisionOf(state) !== revision) return undefined
  const decision = decide(command(target), state)
  if (!decision.ok) throw new LedgerError(decision.refusal)
  const entries = decision.events.map((event) => ({ event, provenance: request.provenance }))
  const written = await journal.write(target, revision, entries, request.until, keyIds)
  // Another writer, or a repetition of this very request, was there first: the target tells which.
  if (written === 'conflict') return settled(journal, pin, pinnedCommand)
  return appendedAnswer(stateAfter(target, written.records, state), written)
}
