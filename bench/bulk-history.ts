/**
 * A long history of incidents, written as fast as the disk takes it: the ledger's own import, on the event store's own log in this
 * process, with no wire between. The node that is started on the directory afterwards finds what any node finds.
 */
import { randomUUID } from 'node:crypto'
import { type Instant, instantOf, severities, sources } from '../src/aggregates/incident/index.ts'
import { openDatabase } from '../src/embedded/event-store/database.ts'
import { createEventLog, type EventLog } from '../src/embedded/event-store/event-log.ts'
import type { RecordedEvent } from '../src/embedded/event-store/events.ts'
import type { EventStore, StoredEvent } from '../src/ledger/event-store.ts'
import type { ImportCommand, ImportedIncident, ImportStep } from '../src/ledger/ledger.ts'
import { openLedgerOn } from '../src/ledger/open.ts'
import { silent } from './silent.ts'

/** They live side by side: each takes its next step when all have taken theirs. */
const openAtATime = 500
const startMs = Date.UTC(2026, 0, 1)
const wholeLife = 5

export interface BulkHistory {
  /** Of an event store without a node. */
  readonly dataDir: string
  /** LEDGER_SECRET of whoever opens it later. */
  readonly secret: string
  readonly incidents: number
  /** 1: they are reported only. 5: and taken on, noted on, resolved and closed. */
  readonly eventsEach?: number
  /** It ends when the last one is reported: so, as at any moment before, some are under way. Else all lives are whole. */
  readonly endsUnderWay?: boolean
}

/** Returns the incidents' ids, in the order in which they were reported. */
export async function writeHistory({
  dataDir,
  secret,
  incidents,
  eventsEach = wholeLife,
  endsUnderWay = false,
}: BulkHistory): Promise<string[]> {
  const log = createEventLog(openDatabase(dataDir))
  const ledger = await openLedgerOn(storeOn(log), {
    secret: { current: { version: 1, value: secret }, previous: [] },
    log: silent,
    appendDeadlineMs: 60_000,
  })
  const ids: string[] = []
  for (let first = 0; first < incidents; first += openAtATime) {
    const count = Math.min(openAtATime, incidents - first)
    const lives = Array.from({ length: count }, (_, n) => {
      const life = lifeOf(first + n)
      return endsUnderWay
        ? { ...life, steps: life.steps.slice(0, stepsUntilEnd(first + n, incidents)) }
        : life
    })
    for (let steps = 1; steps <= eventsEach; steps += 1) {
      const taken = lives.map((life) => ledger.importIncident({ ...life, steps: life.steps.slice(0, steps) }))
      const answers = await Promise.all(taken)
      if (steps === 1) ids.push(...answers.map(({ id }) => id))
    }
  }
  await ledger.close()
  return ids
}

/** How many events there are in one that `endsUnderWay`. */
export function eventsUntilEnd(incidents: number): number {
  return Array.from({ length: incidents }, (_, n) => stepsUntilEnd(n, incidents)).reduce((sum, n) => sum + n)
}

function stepsUntilEnd(n: number, incidents: number): number {
  return Math.min(wholeLife, 1 + Math.floor((incidents - 1 - n) / openAtATime))
}

function lifeOf(n: number): ImportedIncident {
  const externalKey = `INC${String(n).padStart(7, '0')}`
  const steps = commandsOf(n).map((command, ordinal): ImportStep => {
    const seed = n * wholeLife + ordinal
    const person = `person-${(seed * 7) % 200}`
    const actor = { kind: 'import', id: person, name: person } as const
    return { ordinal, at: momentOf(n, ordinal), actor, commands: [command] }
  })
  return { origin: 'import:bench', externalKey, correlationId: randomUUID(), steps }
}

function commandsOf(seed: number): ImportCommand[] {
  return [
    {
      type: 'Report',
      body: {
        title: textOf(seed, 6),
        description: textOf(seed, 40),
        severity: severities[seed % severities.length] ?? 'medium',
        source: sources[seed % sources.length] ?? 'operator',
        assignee: `Person ${seed % 200}`,
        labels: { host: `host-${seed % 1_000}`, region: `region-${seed % 7}` },
      },
    },
    { type: 'ChangeStatus', body: { status: 'in_progress' } },
    { type: 'AddNote', noteId: randomUUID(), text: textOf(seed + 1, 20) },
    { type: 'ChangeStatus', body: { status: 'resolved', reason: textOf(seed + 2, 8) } },
    { type: 'ChangeStatus', body: { status: 'closed' } },
  ]
}

/** A second for each incident, so that a million of them began within twelve days. */
function momentOf(n: number, ordinal: number): Instant {
  return instantOf(startMs + n * 1_000 + ordinal * openAtATime * 1_000)
}

const words =
  'the checkout of region answers no request since node lost its disk and queue grows while retries fail'.split(
    ' ',
  )
const wordAt = (seed: number) => `${words[seed % words.length]}${seed % 13 === 0 ? seed % 5_000 : ''}`
/** So many words that no two seeds have in common, as far as it goes. */
const textOf = (seed: number, length: number) =>
  Array.from({ length }, (_, n) => wordAt(seed * 31 + n * n)).join(' ')

/** The event store of the ledger, as far as an import needs it. */
function storeOn(log: EventLog): EventStore {
  return {
    async append(stream, events, expectedRevision) {
      const outcome = await log.append(
        stream,
        expectedRevision < 0 ? 'no_stream' : expectedRevision,
        events.map(({ id, type, data, metadata }) => ({
          id,
          type,
          isJson: true,
          data: Buffer.from(JSON.stringify(data)),
          metadata: Buffer.from(JSON.stringify(metadata)),
        })),
      )
      if (outcome.kind !== 'written') return { outcome: 'refused', reason: outcome.kind }
      return { outcome: 'appended', position: placeOf(outcome.position ?? 0) }
    },
    async readStream(name, { fromRevision = 0, maxCount }) {
      const stream = log.reader.stream(name)
      if (stream === undefined) return []
      return log.reader
        .streamForwards(stream.id, fromRevision, stream.lastRevision, maxCount)
        .map(storedEvent)
    },
    readLast: async () => undefined,
    readAt: async () => undefined,
    follow: async function* () {},
    close: async () => log.close(),
  }
}

function storedEvent({
  id,
  streamName,
  revision,
  position,
  type,
  data,
  metadata,
}: RecordedEvent): StoredEvent {
  const parsed = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString())
  return {
    id,
    stream: streamName,
    revision,
    position: placeOf(position),
    type,
    data: parsed(data),
    metadata: parsed(metadata),
  }
}

function placeOf(position: number) {
  return { commit: BigInt(position), prepare: BigInt(position) }
}
