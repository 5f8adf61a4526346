import { setInterval } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { IncidentId } from '../aggregates/incident/index.ts'
import {
  isCheckpointMoved,
  movedOver,
  readCheckpoint,
  relocateCheckpoint,
  type StoredCheckpoint,
} from './checkpoint.ts'
import { projectionName, projectionVersion } from './database.ts'
import { projectBatch } from './incident-projection.ts'
import { incidentJson, type Standing } from './incident-rows.ts'
import { standingsIn, writeBatch } from './incident-store.ts'
import type { Term } from './leadership.ts'
import type { LedgerBatch } from './ledger-batch.ts'
import type { Projecting, Projection } from './projector.ts'
import type { Announced, CacheWriter, StoredIncident } from './read-model.ts'
import { sql } from './sql.ts'

/** Large enough that a catch-up is not paid for by the batch, small enough that one takes no second. */
const batchSize = 2_000
/** After a catch-up of so many events Postgres is told to look at the tables: by itself it would within a minute, and plan badly till then. */
const analyzedFrom = 10_000
/** Readers take a leader that has not beaten for 2 s for dead. */
const beatIntervalMs = 400

export interface IncidentProjectorOptions {
  readonly cache: CacheWriter
  /** Removes keys that an erasure gave up, where they are still there: a crash may have come between. */
  readonly completeErasure: (keyIds: readonly string[]) => Promise<void>
  readonly announceLocally: (announced: Announced) => void
  /** Makes the read model anew with this version of the code, up to the live checkpoint. */
  readonly rebuild: (signal: AbortSignal) => Promise<void>
  readonly log: Logger
}

/** The projection of the incidents into Postgres and the cache. */
export function incidentProjection(options: IncidentProjectorOptions): Projection {
  return {
    name: projectionName,
    batchSize,
    checkpoint: ({ client }) => readCheckpoint(client, projectionName),
    relocate: ({ client }, checkpoint, position) =>
      relocateCheckpoint(client, projectionName, checkpoint, position),
    begin: (term) => begin(term, options),
  }
}

async function begin(term: Term, options: IncidentProjectorOptions): Promise<Projecting> {
  const { cache, announceLocally, completeErasure } = options
  let checkpoint = await checkpointOfThisVersion(term, options)
  await cache.takeOver(term.signal)
  const standings = standingsIn(term.client)
  const pace = openPace(cache)
  let caughtUpWith = 0
  beat(term, checkpoint.generation, pace).catch(term.end)

  return {
    checkpoint: () => checkpoint,
    async apply(batch) {
      await pace.arrived(batch)
      if (batch.records.length === 0) {
        await analyzeOnceCaughtUp()
        pace.done()
        return true
      }
      // Before the checkpoint goes past it. Throws where the event store is gone: then the term ends, and the next one does it.
      const keyIds = batch.records.flatMap((record) =>
        record.kind === 'incident' ? (record.erasedKeyIds ?? []) : [],
      )
      if (keyIds.length > 0) await completeErasure(keyIds)
      const before = await standings.before(batch.records)
      const changes = projectBatch(before, batch.records, checkpoint.index + 1)
      const next = movedOver(batch.records, checkpoint)
      const farBehind = pace.farBehind()

      // From here until refresh everyone reads these incidents from Postgres: once it commits, none may see less.
      await cache.withhold([...changes.incidents.keys()])
      try {
        await writeBatch(term.client, {
          name: projectionName,
          from: checkpoint,
          to: next,
          changes,
          farBehind,
        })
      } catch (error) {
        if (isCheckpointMoved(error)) return false
        throw error
      }
      checkpoint = next
      standings.keep(changes.incidents)
      // In any case, or the batch would be taken for one under way, and be withheld for good from the epoch that opens next.
      await cache.refresh(pace.farBehind() ? new Map() : entriesOf(changes.incidents))
      announceLocally(announcementOf(checkpoint))
      caughtUpWith += batch.records.length
      if (!farBehind) await analyzeOnceCaughtUp()
      pace.done()
      return true
    },
  }

  async function analyzeOnceCaughtUp(): Promise<void> {
    if (caughtUpWith >= analyzedFrom) await term.client.query(sql('queries/analyze_read_model'))
    caughtUpWith = 0
  }
}

async function checkpointOfThisVersion(
  { client, signal }: Term,
  { rebuild, log }: IncidentProjectorOptions,
): Promise<StoredCheckpoint> {
  const found = await readCheckpoint(client, projectionName)
  if (found.version === projectionVersion) return found
  log.info(
    { found: found.version, made: projectionVersion },
    'the read model was made by another version of this program: rebuilding it',
  )
  await rebuild(signal)
  return readCheckpoint(client, projectionName)
}

/** Says every so often that the leader lives. Ends the term when it hears that the read model was rebuilt. */
async function beat({ client, signal }: Term, generation: number, pace: Pace): Promise<void> {
  const say = () => client.query(sql('queries/beat'), [projectionName, generation, pace.farBehind()])
  await say()
  for await (const _ of setInterval(beatIntervalMs, undefined, { signal })) {
    await pace.beat()
    await say()
  }
}

type Pace = ReturnType<typeof openPace>

/**
 * Knows whether so much is still to come that keeping the cache would be a waste: from when a batch is full and more is
 * waiting, until nothing is. At first too: a new leader finds the cache suspended, and does not know what is to come.
 */
function openPace(cache: CacheWriter) {
  let farBehind = true
  let busy = false
  let batchesSinceBeat = 0
  const keepUp = async () => {
    if (!farBehind) return
    farBehind = false
    await cache.resume()
  }
  return {
    farBehind: () => farBehind,
    async arrived({ records, caughtUp }: LedgerBatch) {
      busy = true
      batchesSinceBeat += 1
      if (caughtUp) return keepUp()
      if (farBehind || records.length < batchSize) return
      farBehind = true
      await cache.suspend()
    },
    done() {
      busy = false
    },
    async beat() {
      if (!busy && batchesSinceBeat === 0) await keepUp()
      batchesSinceBeat = 0
    },
  }
}

function entriesOf(incidents: ReadonlyMap<IncidentId, Standing>): Map<IncidentId, StoredIncident> {
  const entries = new Map<IncidentId, StoredIncident>()
  for (const [id, { incident }] of incidents) {
    entries.set(id, { revision: incident.revision, json: incidentJson(incident) })
  }
  return entries
}

/** Before the first event there is a position that every event is after. */
function announcementOf({ index, position, generation }: StoredCheckpoint): Announced {
  return { index, position: position ?? { commit: -1n, prepare: -1n }, generation }
}
