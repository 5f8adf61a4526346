import type { Admin, Kafka } from 'kafkajs'
import type { Logger } from 'pino'
import { ProjectorStopped } from '../../projections/projector-stopped.ts'
import { type Position, readPosition } from './position.ts'
import { openProtocol, type Protocol } from './protocol.ts'
import { type Extent, extentsOf, readRecords } from './records.ts'
import { ensureTopics, topicName } from './topics.ts'
import { openTransactions, type Transactions } from './transactions.ts'
import { findUndecided, isSamePart, settleUndecided } from './undecided.ts'

/** What a term has in Kafka: the producer that has fenced the others, and the position as it was found after that. */
export interface Session {
  readonly transactions: Transactions
  readonly admin: Admin
  readonly topics: Topics
  readonly protocol: Protocol
  /** Moved only to where its event is in another event store. */
  position: Position
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

/**
 * Connects, fences, and reads the position, in this order: after the fence nobody else can move it.
 *
 * @throws ProjectorStopped where what is there does not go together; TopicUnfit; kafkajs's errors where Kafka cannot be reached.
 */
export async function openSession(kafka: Kafka, topicPrefix: string, log: Logger): Promise<Session> {
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
  const protocol = opening.use(await openProtocol(kafka))
  let transactions = await openTransactions(kafka, topics.publisher, partitions)
  opening.defer(() => transactions.close())
  const cluster = { kafka, admin, protocol, topics }
  const settled = await settleUndecided(cluster, log)
  if (settled.length > 0) {
    await transactions.close()
    transactions = await openTransactions(kafka, topics.publisher, partitions)
  }
  const open = (await findUndecided(cluster)).filter(
    (part) => part.topic === topics.publisher || settled.some((one) => isSamePart(one, part)),
  )
  // A position that is overlooked, or an event of ours, and committed later, would repeat what it covers.
  if (open.length > 0) {
    const named = open.map(({ topic, partition, from }) => `${topic}-${partition} from offset ${from}`)
    throw new Error(
      `${named.join(', ')} is neither committed nor aborted, in a transaction of another producer: nothing is published until Kafka has ` +
        'decided it, which takes as long as that may last; kafka-transactions.sh shows whose it is',
    )
  }

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
    protocol,
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

export const wayOut =
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
      await readRecords({ kafka, admin, topic, extents: extents[role] }, () => {
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
