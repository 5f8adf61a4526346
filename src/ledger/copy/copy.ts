import { setTimeout as pause } from 'node:timers/promises'
import { leaseMs } from '../guarded-store.ts'
import { beginningType, isTenureType } from '../tenure.ts'
import { appendGenesis, readGenesis, tenureEvent } from './genesis-events.ts'
import { openRawStore, placeOf, type RawStore } from './raw-store.ts'
import { openSurvey } from './survey.ts'
import { copyMetadata, copyVaults } from './vaults.ts'
import { openWalk } from './walk.ts'

export interface CopyOptions {
  /** Connection strings, such as `esdb://127.0.0.1:2113?tls=false`. */
  readonly from: string
  readonly to: string
  readonly signal: AbortSignal
  readonly onStage?: (stage: CopyStage) => void
  /** Of the events that are copied in order, with those that an earlier run copied. */
  readonly onProgress?: (passed: number, of: number) => void
}

/** `closing`: from now on the source takes no commands. */
export type CopyStage = 'surveying' | 'copying' | 'closing'

export interface CopySummary {
  /** `already`: an earlier run had moved it; nothing was done. */
  readonly outcome: 'moved' | 'already'
  /** Events of the ledger and beside it that the target has in the source's order. */
  readonly events: number
  /** Of which this run appended. */
  readonly copied: number
  readonly vaults: number
  /** Events of deleted streams of the ledger. */
  readonly leftOut: number
}

/** Beyond the lease, for clocks that do not run equally fast. */
const graceMs = 500

/**
 * Moves the ledger from one event store to another: every event of the ledger, of requests and of signed notes with the same id, stream,
 * revision and bytes, in the same order, so that indexes, roots and proofs stay as they are; and each vault as it is now. Run again after an
 * interruption, whatever it was, it goes on.
 *
 * The source may be in use. That nothing is lost between:
 * 1. The target's `ledger-genesis` says first that it is a copy under way: no process starts on it.
 * 2. What the source has is copied while it takes commands.
 * 3. The source's `ledger-genesis` says that it is retiring. A process learns of that when its lease ends (see `guardedStore`), and answers no
 *    command with success after `leaseMs` that was not in the store by then.
 * 4. After that time the rest is copied; so all that anyone was told is in it. What was appended later, and told as of unknown outcome,
 *    may be in it or not, as with any unknown outcome. A vault that was rewritten meanwhile, to erase a key, is copied once more.
 * 5. The target's `ledger-genesis` says that it is complete, at the exact revision: from this event on the ledger lives there. To give a
 *    copy up (`giveUpCopy`) appends at the same place, so that one of the two happens. Until then the ledger lives at the source.
 * 6. The source's says that it is retired. Whoever dies before that has left a source that is retiring, which takes no commands either;
 *    the next run does this step.
 *
 * @throws Error of one line where the stores are not fit, or a copy was given up meanwhile; LedgerError where one of them cannot be reached;
 * what the signal aborts with.
 */
export async function copyLedger({
  from,
  to,
  signal,
  onStage = () => {},
  onProgress = () => {},
}: CopyOptions): Promise<CopySummary> {
  await using sides = openSides(from, to)
  const { source, target } = sides
  const copy = await beginCopy(sides, { from, to })
  if (copy === 'retired') return { outcome: 'already', events: 0, copied: 0, vaults: 0, leftOut: 0 }
  if (copy === 'complete') {
    await retire(source, to)
    return { outcome: 'already', events: 0, copied: 0, vaults: 0, leftOut: 0 }
  }

  onStage('surveying')
  const survey = openSurvey(source)
  await survey.advance(signal)
  const there = openSurvey(target)
  await there.advance(signal)
  const beside = {
    source,
    target,
    survey,
    metadata: new Map(there.metadata()),
    vaults: new Map(there.vaults()),
  }
  const walk = openWalk({ source, target, survey }, signal)
  let vaults = 0
  let events = 0
  const copyOn = async () => {
    await survey.advance(signal)
    await copyMetadata(beside, signal)
    // Before the events that need them.
    vaults += await copyVaults(beside, signal)
    await walk.advance((passed) => {
      events = passed
      onProgress(passed, Math.max(passed, survey.events()))
    })
  }

  onStage('copying')
  await copyOn()
  onStage('closing')
  const retirement = await markRetiring(source, to, copy)
  await pause(leaseMs + graceMs, undefined, { signal })
  await copyOn()
  signal.throwIfAborted()
  await complete(sides, { from, copy, retirement })
  await retire(source, to)
  return {
    outcome: 'moved',
    events: events - walk.leftOut(),
    copied: walk.copied(),
    vaults,
    leftOut: walk.leftOut(),
  }
}

/**
 * Gives up a copy that is not complete: the source takes commands again, and the target stays closed until it is copied to once more.
 * Returns whether there was anything to give up.
 * @throws Error of one line where the copy is complete, or is another one; LedgerError where a store cannot be reached.
 */
export async function giveUpCopy({ from, to }: Pick<CopyOptions, 'from' | 'to'>): Promise<boolean> {
  await using sides = openSides(from, to)
  const { source, target } = sides
  const origin = await readGenesis(source)
  const copy = await readGenesis(target)
  const { tenure } = origin
  if (tenure.state === 'retired' || (tenure.state === 'retiring' && copy.completedBy === tenure.retirement)) {
    throw new Error(`the ledger was moved to ${placeOf(tenure.to)} already: there is nothing left to give up`)
  }
  const isOfThis = copy.tenure.state === 'copying' || copy.tenure.state === 'given-up'
  if (!isOfThis || copy.events[0]?.id !== origin.events[0]?.id) {
    throw new Error(`${placeOf(to)} holds no copy under way of the ledger at ${placeOf(from)}`)
  }
  const isUnderWay = copy.tenure.state === 'copying'
  if (isUnderWay && !(await appendGenesis(target, copy, [tenureEvent('copyGivenUp', {})]))) {
    throw new Error('the copy went on meanwhile: try again')
  }
  if (tenure.state !== 'retiring') return isUnderWay
  if ('copy' in copy.tenure && tenure.copy !== copy.tenure.copy) {
    throw new Error(`the ledger at ${placeOf(from)} is being moved to ${tenure.to}, by another copy`)
  }
  if (!(await appendGenesis(source, origin, [tenureEvent('retirementWithdrawn', {})]))) {
    throw new Error('the source changed meanwhile: try again')
  }
  return true
}

interface Sides extends AsyncDisposable {
  readonly source: RawStore
  readonly target: RawStore
}

function openSides(from: string, to: string): Sides {
  if (from === to) throw new Error('--from and --to are the same event store')
  const source = openStore('--from', from)
  const target = openStore('--to', to)
  return {
    source,
    target,
    [Symbol.asyncDispose]: async () => {
      await target.close()
      await source.close()
    },
  }
}

function openStore(option: string, url: string): RawStore {
  try {
    return openRawStore(url)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`${option} is no connection string of an event store (${reason})`, { cause: error })
  }
}

/** The id of the copy that is now under way; or that there is none to make any more. */
async function beginCopy(
  { source, target }: Sides,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<string | 'complete' | 'retired'> {
  const origin = await readGenesis(source)
  const copy = await readGenesis(target)
  const { tenure } = origin
  const [begun] = origin.events
  if (begun?.type !== beginningType) throw new Error(`there is no ledger at ${placeOf(from)}`)
  if (tenure.state === 'copying' || tenure.state === 'given-up') {
    throw new Error(`${placeOf(from)} holds a copy that is not complete, and no ledger to copy from`)
  }
  const isOfThis = copy.events[0]?.id === begun.id
  if (tenure.state !== 'open' && isOfThis && copy.completedBy === tenure.retirement) {
    return tenure.state === 'retired' ? 'retired' : 'complete'
  }
  if (tenure.state === 'retired') {
    throw new Error(`the ledger at ${placeOf(from)} was moved to ${tenure.to}: copy it from there`)
  }
  if (copy.events.length > 0 && !isOfThis) {
    throw new Error(`${placeOf(to)} holds another ledger: give an empty event store`)
  }
  if (copy.events.length > 0 && (copy.tenure.state === 'open' || copy.tenure.state === 'retiring')) {
    throw new Error(
      `${placeOf(to)} is the event store that the ledger at ${placeOf(from)} lives in, or one where it lives as well: give an empty one`,
    )
  }
  if (copy.events.length === 0) {
    const other = await target.firstOfAny()
    if (other) {
      throw new Error(`${placeOf(to)} holds other events (stream ${other.stream}): give an empty event store`)
    }
  }
  if (tenure.state === 'retiring' && !('copy' in copy.tenure && copy.tenure.copy === tenure.copy)) {
    throw new Error(
      `the ledger at ${placeOf(from)} is being moved to ${tenure.to} already: run that copy again, or give it up with --cancel`,
    )
  }
  if (copy.tenure.state === 'copying') return copy.tenure.copy
  if (tenure.state === 'retiring') {
    throw new Error(
      `the copy was given up, but the ledger at ${placeOf(from)} is still closed: open it again with --cancel`,
    )
  }
  const mark = tenureEvent('copyBegun', { from: placeOf(from) })
  const added = copy.events.length === 0 ? [begun, mark] : [mark]
  if (await appendGenesis(target, copy, added)) return mark.id
  throw new Error(`another copy to ${placeOf(to)} has begun: run it again`)
}

/** Returns the id of the source's mark. */
async function markRetiring(source: RawStore, to: string, copy: string): Promise<string> {
  for (;;) {
    const origin = await readGenesis(source)
    const { tenure } = origin
    if (tenure.state === 'retiring' && tenure.copy === copy) return tenure.retirement
    if (tenure.state !== 'open') throw new Error('the source is being moved by another copy')
    const mark = tenureEvent('retiring', { to: placeOf(to), copy })
    if (await appendGenesis(source, origin, [mark])) return mark.id
  }
}

/** With what else the source's genesis says, such as under which secret the ledger is. */
async function complete(
  { source, target }: Sides,
  { from, copy, retirement }: { readonly from: string; readonly copy: string; readonly retirement: string },
): Promise<void> {
  const origin = await readGenesis(source)
  const found = await readGenesis(target)
  const { tenure } = found
  const isOurs = tenure.state === 'copying' && tenure.copy === copy
  const isClosed = origin.tenure.state === 'retiring' && origin.tenure.retirement === retirement
  const known = new Set(found.events.map(({ id }) => id))
  const rest = origin.events.filter(({ id, type }) => !isTenureType(type) && !known.has(id))
  const done = tenureEvent('copied', { from: placeOf(from), retirement })
  if (!isOurs || !isClosed || !(await appendGenesis(target, found, [...rest, done]))) {
    throw new Error(
      'the copy was given up, or ended by another process, meanwhile: look with the same command again',
    )
  }
}

async function retire(source: RawStore, to: string): Promise<void> {
  for (;;) {
    const origin = await readGenesis(source)
    const { tenure } = origin
    if (tenure.state !== 'retiring') return
    const { retirement } = tenure
    if (await appendGenesis(source, origin, [tenureEvent('retired', { to: placeOf(to), retirement })])) return
  }
}
