import { setInterval } from 'node:timers/promises'
import type { Kafka, Message } from 'kafkajs'
import type { Logger } from 'pino'
import type { IncidentId } from '../../aggregates/incident/index.ts'
import type { LedgerRecord } from '../../ledger/event.ts'
import type { IncidentHistory } from '../../ledger/ledger.ts'
import type { Checkpoint } from '../../projections/checkpoint.ts'
import { projectBatch } from '../../projections/incident-projection.ts'
import type { Term } from '../../projections/leadership.ts'
import type { Projecting, Projection } from '../../projections/projector.ts'
import type { Standings } from '../../projections/standings.ts'
import { openLatestStates } from './latest-states.ts'
import { eventMessage, stateMessage } from './messages.ts'
import { type Position, positionMessage } from './position.ts'
import { extentsOf } from './records.ts'
import { openSession, type Session, wayOut } from './session.ts'
import { Fenced } from './transactions.ts'

export interface PublicationOptions {
  readonly kafka: Kafka
  readonly topicPrefix: string
  readonly history: Pick<IncidentHistory, 'events'>
  /** Told the index of the last event that is published, when a term begins and after each transaction. */
  readonly onPublished: (index: number) => void
  readonly onFailure: (error: unknown) => void
  readonly log: Logger
}

/** Large enough that a catch-up is not paid for by the transaction; one that is live has what came during the one before. */
const batchSize = 2_000
/** How often an idle leader looks whether Kafka is there and its position is still its own. */
const lookIntervalMs = 5_000

/**
 * The ledger's incident events in Kafka, made as a projection is: one process leads, from the position that Kafka itself has. What
 * fails ends the term; the next one fences first and reads the position after that, so that it does not matter
 * whether a transaction of unknown outcome came to be.
 */
export function publication(options: PublicationOptions): Projection {
  const sessions = new WeakMap<Term, Session>()
  const told = async <T>(act: Promise<T>): Promise<T> => {
    try {
      return await act
    } catch (error) {
      options.onFailure(error)
      throw error
    }
  }
  return {
    name: 'incidents.publisher',
    batchSize,
    foreign,
    async checkpoint(term) {
      const session = await told(openSession(options.kafka, options.topicPrefix, options.log))
      sessions.set(term, session)
      onceAborted(term.signal, () => void session.close())
      options.onPublished(session.position.index)
      return session.position
    },
    /** Kafka hears of it with the next transaction; until then it is found again, at each start. */
    async relocate(term, _, position) {
      const session = sessions.get(term)
      if (session) session.position = { ...session.position, position }
    },
    async begin(term) {
      const session = sessions.get(term)
      if (session === undefined) throw new Error('a term begins with its checkpoint')
      return publishing(term, session, options)
    },
  }
}

function foreign({ index, position, eventId }: Checkpoint, found: 'another event' | 'no event'): string {
  return (
    `The event store has ${found} where the last event that was published to Kafka, ${eventId} (index ${index}, position ` +
    `${position?.commit}/${position?.prepare}), should be: it is another store, or was restored to an earlier time. Nothing is ` +
    `published over it. Connect the right store. ${wayOut}`
  )
}

function publishing(
  term: Term,
  session: Session,
  { history, onPublished, onFailure }: PublicationOptions,
): Projecting {
  const states = openLatestStates(history)
  let taken = session.position
  let end = session.end
  let transactions = 0
  let underWay: Promise<void> | undefined
  let next: Content | typeof nothing = nothing

  keepLooking().catch(failed)
  return {
    checkpoint: () => taken,
    /** What it is given while a transaction is under way goes into the next one, so that these grow with what there is to do. */
    async apply({ records }) {
      const added = await composed(states, records, taken)
      while (underWay !== undefined && next.events.length + added.events.length > batchSize) await underWay
      taken = added.position
      next = joined(next, added)
      if (underWay === undefined) begin()
      return true
    },
  }

  function begin(): void {
    if (next.position === undefined || term.signal.aborted) return
    const { events, states: latest, position } = next
    next = nothing
    if (events.length === 0) {
      onPublished(position.index)
      return
    }
    transactions += 1
    underWay = transact(events, [...latest.values()], position).then(() => {
      underWay = undefined
      onPublished(position.index)
      begin()
    })
    underWay.catch(failed)
    session.underWay = underWay
  }

  async function transact(events: Message[], latest: Message[], position: Position): Promise<void> {
    const { topics } = session
    const { lastOffset, places } = await session.transactions.commit([
      { topic: topics.events, messages: events },
      { topic: topics.state, messages: latest },
      { topic: topics.publisher, messages: [positionMessage(position)] },
    ])
    // Only then the next may begin: it would end this one with itself, where Kafka lost its end.
    await session.protocol.decided(places, term.signal)
    // The transaction's marker comes after it.
    end = lastOffset + 2n
  }

  function failed(error: unknown): void {
    if (!term.signal.aborted) onFailure(error)
    term.end(error)
  }

  /** Who writes nothing is not refused: an idle leader would not hear that it was fenced, or that Kafka is gone. */
  async function keepLooking(): Promise<void> {
    const { admin, topics } = session
    for await (const _ of setInterval(lookIntervalMs, undefined, { signal: term.signal })) {
      if (underWay !== undefined) continue
      const before = transactions
      const [extent] = await extentsOf(admin, topics.publisher)
      if (transactions !== before || extent === undefined) continue
      if (extent.end > end) throw new Fenced('another publisher has taken over')
    }
  }
}

/** What a transaction consists of. */
interface Content {
  readonly events: Message[]
  /** The latest of each incident. */
  readonly states: ReadonlyMap<IncidentId, Message>
  readonly position: Position
}

const nothing: Omit<Content, 'position'> & { readonly position?: undefined } = {
  events: [],
  states: new Map(),
}

function joined(content: Content | typeof nothing, added: Content): Content {
  if (content.events.length === 0) return added
  return {
    events: content.events.concat(added.events),
    states: new Map([...content.states, ...added.states]),
    position: added.position,
  }
}

/** What a batch of the ledger comes to; without events where none of it is of an incident. */
async function composed(
  latestStates: Standings,
  records: readonly LedgerRecord[],
  from: Position,
): Promise<Content> {
  const last = records.at(-1)
  if (last === undefined) return { ...nothing, position: from }
  const first = from.index + 1
  const { incidents } = projectBatch(await latestStates.before(records), records, first)
  latestStates.keep(incidents)

  const events: Message[] = []
  const states = new Map<IncidentId, Message>()
  for (const [n, record] of records.entries()) {
    if (record.kind !== 'incident') continue
    const { incidentId, revision } = record
    events.push(eventMessage(record, first + n))
    const incident = incidents.get(incidentId)?.incident
    if (incident?.revision === revision) states.set(incidentId, stateMessage(incident, first + n))
  }
  const position = {
    index: from.index + records.length,
    position: last.position,
    eventId: last.id,
    partitions: from.partitions,
    repeatedTo: from.repeatedTo,
  }
  return { events, states, position }
}

function onceAborted(signal: AbortSignal, act: () => void): void {
  if (signal.aborted) act()
  else signal.addEventListener('abort', act, { once: true })
}
