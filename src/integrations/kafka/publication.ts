import { setInterval } from 'node:timers/promises'
import type { Admin, Kafka, TopicMessages } from 'kafkajs'
import type { IncidentId } from '../../aggregates/incident/index.ts'
import type { LedgerRecord } from '../../ledger/event.ts'
import type { IncidentHistory } from '../../ledger/ledger.ts'
import type { Checkpoint } from '../../projections/checkpoint.ts'
import { projectBatch } from '../../projections/incident-projection.ts'
import type { Term } from '../../projections/leadership.ts'
import type { Projecting, Projection } from '../../projections/projector.ts'
import { ProjectorStopped } from '../../projections/projector-stopped.ts'
import { type Extent, extentsOf, readCommitted } from './committed.ts'
import { type LatestStates, openLatestStates } from './latest-states.ts'
import { eventMessage, stateMessage } from './messages.ts'
import { type Position, positionMessage, readPosition } from './position.ts'
import { ensureTopics, topicName } from './topics.ts'
import { Fenced, openTransactions, type Transactions } from './transactions.ts'

export interface PublicationOptions {
  readonly kafka: Kafka
  readonly topicPrefix: string
  readonly history: Pick<IncidentHistory, 'events'>
  /** Told the index of the last event that is published, when a term begins and after each transaction. */
  readonly onPublished: (index: number) => void
  readonly onFailure: (error: unknown) => void
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
      const session = await told(openSession(options))
      sessions.set(term, session)
      onceAborted(term.signal, () => void session.close())
      options.onPublished(session.position.index)
      return session.position
    },
    async begin(term) {
      const session = sessions.get(term)
      if (session === undefined) throw new Error('a term begins with its checkpoint')
      return publishing(term, session, options)
    },
  }
}

/** What a term has in Kafka: the producer that has fenced the others, and the position as it was found after that. */
interface Session {
  readonly transactions: Transactions
  readonly admin: Admin
  readonly topics: Topics
  readonly position: Position
  /** The offset after the position in its topic. */
  readonly end: bigint
  /** What the session's end waits for. */
  underWay: Promise<unknown>
  readonly close: () => Promise<void>
}

interface Topics {
  readonly events: string
  readonly state: string
  readonly publisher: string
}

async function openSession({ kafka, topicPrefix }: PublicationOptions): Promise<Session> {
  await using opening = new AsyncDisposableStack()
  const admin = kafka.admin()
  opening.defer(() => admin.disconnect())
  await admin.connect()
  const counts = await ensureTopics(admin, ['events', 'state', 'publisher'], topicPrefix)
  const topics = {
    events: topicName('events', topicPrefix),
    state: topicName('state', topicPrefix),
    publisher: topicName('publisher', topicPrefix),
  }
  const partitions = new Map([
    [topics.events, counts.events],
    [topics.state, counts.state],
    [topics.publisher, counts.publisher],
  ])
  const transactions = await openTransactions(kafka, topics.publisher, partitions)
  opening.defer(() => transactions.close())

  const { position, end } = await readPosition(kafka, admin, topics.publisher)
  const extents = {
    events: await extentsOf(admin, topics.events),
    state: await extentsOf(admin, topics.state),
  }
  if (position) {
    checkPartitions(position, counts, topics)
    if (position.index >= 0) checkNotEmptied(position, extents, topics)
  } else await checkNew(kafka, admin, topics, extents)

  const opened = opening.move()
  const session: Session = {
    transactions,
    admin,
    topics,
    position: position ?? { index: -1, partitions: { events: counts.events, state: counts.state } },
    end,
    underWay: Promise.resolve(),
    close: async () => {
      await session.underWay.catch(() => {})
      // A cluster that is gone has nothing to be told.
      await opened.disposeAsync().catch(() => {})
    },
  }
  return session
}

const wayOut =
  'To publish everything from the first event again, run incident-ledger republish, which tells first what that repeats.'

function checkPartitions(
  { partitions }: Position,
  counts: { readonly events: number; readonly state: number },
  topics: Topics,
): void {
  for (const role of ['events', 'state'] as const) {
    if (counts[role] === partitions[role]) continue
    throw new ProjectorStopped(
      `${topics[role]} has ${counts[role]} partitions, but had ${partitions[role]} when it was published to last: an incident's ` +
        `next event would go to another partition than those before it, and their order be lost. Nothing is published. ${wayOut}`,
    )
  }
}

type Extents = Readonly<Record<'events' | 'state', readonly Extent[]>>

/** Offsets never go back: a topic whose partitions all end at 0 was made anew. */
function checkNotEmptied(position: Position, extents: Extents, topics: Topics): void {
  for (const role of ['events', 'state'] as const) {
    if (extents[role].some(({ end }) => end > 0n)) continue
    throw new ProjectorStopped(
      `${topics.publisher} says that the ledger is published up to its event ${position.index}, but ${topics[role]} has never had a ` +
        `record: it was deleted and made anew. Nothing is published. ${wayOut}`,
    )
  }
}

/** Without a position there must be nothing. What a publisher left uncommitted that died in its very first transaction is nothing. */
async function checkNew(kafka: Kafka, admin: Admin, topics: Topics, extents: Extents): Promise<void> {
  for (const role of ['events', 'state'] as const) {
    const topic = topics[role]
    let found = extents[role].some(({ low }) => low > 0n)
    if (!found) {
      await readCommitted({ kafka, admin, topic, extents: extents[role] }, () => {
        found = true
        return 'enough'
      })
    }
    if (!found) continue
    throw new ProjectorStopped(
      `${topic} has records, but ${topics.publisher} does not say how far they go: it was deleted, or they are another's. Nothing is ` +
        `published. Delete ${topics.events} and ${topics.state} to begin with empty topics. ${wayOut}`,
    )
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

  const failed = (error: unknown) => {
    if (!term.signal.aborted) onFailure(error)
    term.end(error)
  }
  const transact = async (topics: readonly TopicMessages[], position: Position) => {
    const last = await session.transactions.commit(topics)
    // The transaction's marker comes after it.
    end = last + 2n
    onPublished(position.index)
  }
  keepLooking().catch(failed)

  return {
    checkpoint: () => taken,
    async apply({ records, caughtUp }) {
      const { topics, position } = await composed(states, records, taken, session.topics)
      // One at a time; what comes next is prepared meanwhile.
      await session.underWay
      taken = position
      if (topics.length > 0) {
        transactions += 1
        const underWay = transact(topics, position)
        underWay.catch(failed)
        session.underWay = underWay
        // Live, waiting lets the next batch grow.
        if (caughtUp) await underWay
      } else onPublished(position.index)
      return true
    },
  }

  /** Who writes nothing is not refused: an idle leader would not hear that it was fenced, or that Kafka is gone. */
  async function keepLooking(): Promise<void> {
    const { admin, topics } = session
    for await (const _ of setInterval(lookIntervalMs, undefined, { signal: term.signal })) {
      await session.underWay
      const before = transactions
      const [extent] = await extentsOf(admin, topics.publisher)
      if (transactions !== before || extent === undefined) continue
      if (extent.end > end) throw new Fenced('another publisher has taken over')
    }
  }
}

/** The records of one transaction; none where the batch has no event of an incident. */
async function composed(
  states: LatestStates,
  records: readonly LedgerRecord[],
  from: Position,
  topics: Topics,
): Promise<{ readonly topics: readonly TopicMessages[]; readonly position: Position }> {
  const last = records.at(-1)
  if (last === undefined) return { topics: [], position: from }
  const first = from.index + 1
  const { incidents } = projectBatch(await states.before(records), records, first)
  states.keep(incidents)

  const events = []
  const indexes = new Map<IncidentId, number>()
  for (const [n, record] of records.entries()) {
    if (record.kind !== 'incident') continue
    const { incidentId, revision } = record
    events.push(eventMessage(record, first + n))
    if (incidents.get(incidentId)?.incident.revision === revision) indexes.set(incidentId, first + n)
  }
  const position = {
    index: from.index + records.length,
    position: last.position,
    eventId: last.id,
    partitions: from.partitions,
  }
  if (events.length === 0) return { topics: [], position }
  const latest = [...indexes].flatMap(([id, index]) => {
    const standing = incidents.get(id)
    return standing ? [stateMessage(standing.incident, index)] : []
  })
  return {
    topics: [
      { topic: topics.events, messages: events },
      { topic: topics.state, messages: latest },
      { topic: topics.publisher, messages: [positionMessage(position)] },
    ].filter(({ messages }) => messages.length > 0),
    position,
  }
}

function onceAborted(signal: AbortSignal, act: () => void): void {
  if (signal.aborted) act()
  else signal.addEventListener('abort', act, { once: true })
}
