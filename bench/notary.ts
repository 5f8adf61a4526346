/**
 * `node bench/notary.ts [events]` (1,000,000 by default): how many leaves a second the notary takes in a catch-up, from stored events to signed notes, beside
 * SHA-256 of the same bytes; and how long an inclusion proof takes, at 1,000 events and at the end.
 */
import { hash, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts'
import type { KeptNote } from '../src/ledger/checkpoints.ts'
import type { LedgerEntry } from '../src/ledger/entries.ts'
import { entryOf } from '../src/ledger/entry.ts'
import { migrate } from '../src/projections/database.ts'
import { openNotary } from '../src/projections/notary/open.ts'
import { silent } from './silent.ts'

const events = Number(process.argv[2] ?? 1_000_000)
const small = 1_000
const proofs = 2_000
const batchSize = 4_096
const hashed = 200_000

const at = '2026-01-31T09:00:00.000Z'
/** As they are stored, each with its stream: a report and four changes. */
function storedEvent(index: number) {
  const incident = Math.floor(index / 5)
  const isReport = index % 5 === 0
  const commitment = hash('sha256', String(index), 'base64url')
  const fields = isReport
    ? ['actor.name', 'assignee', 'description', 'labels', 'title']
    : ['actor.name', 'reason']
  return {
    id: randomUUID(),
    stream: `incident-018bcfe5-6800-7000-8000-${String(incident).padStart(12, '0')}`,
    revision: index % 5,
    type: isReport ? 'IncidentReported' : 'IncidentStatusChanged',
    data: isReport
      ? { occurredAt: at, origin: 'access-key:x-access-key', severity: 'high', source: 'monitoring' }
      : { from: 'new', to: 'in_progress' },
    metadata: {
      $correlationId: randomUUID(),
      actor: { id: 'x-access-key', kind: 'access-key' },
      at,
      recordedAt: at,
      schemaVersion: 1,
      sealed: {
        box: 'A'.repeat(300),
        commitments: Object.fromEntries(fields.map((field) => [field, commitment])),
        key: '018bcfe5-6800-7000-8000-000000000003.7',
      },
    },
  }
}

const dataDir = await mkdtemp(join(tmpdir(), 'incident-ledger-bench-'))
const postgres = await startEmbeddedPostgres({ dataDir })
try {
  await migrate(postgres.url)
  const notes: KeptNote[] = []
  let upTo = small
  let grown = Promise.withResolvers<void>()
  const entry = (index: number): LedgerEntry => {
    const place = BigInt(index + 1) * 100n
    const { id, stream, revision, ...said } = storedEvent(index)
    const entry = entryOf({ id, stream, revision, ...said })
    return { id, stream, revision, position: { commit: place, prepare: place }, entry }
  }
  const notary = openNotary({
    compareEveryMs: 86_400_000,
    databaseUrl: postgres.url,
    noteFile: join(dataDir, 'newest-note'),
    keys: { current: Buffer.alloc(32, 1).toString('base64url'), previous: [] },
    log: silent,
    ledger: {
      entries: {
        ofIncident: async () => [],
        async *subscribe({ after, signal }) {
          if (after === undefined) {
            // The comparison of the whole: there is nothing yet that it could be held against.
            for (let next = 0; !signal.aborted; ) {
              while (next < upTo) {
                const end = Math.min(upTo, next + batchSize)
                yield {
                  entries: Array.from({ length: end - next }, (_, n) => entry(next + n)),
                  caughtUp: end === upTo,
                }
                next = end
              }
              await grown.promise
            }
          }
        },
      },
      checkpoints: {
        origin: 'bench.example/ledger',
        read: async (fromRevision, maxCount) => notes.slice(fromRevision, fromRevision + maxCount),
        last: async () => notes.at(-1),
        keep: async (note, { revision }) => {
          notes.push({ note, revision })
          return 'kept'
        },
      },
      readAt: async () => undefined,
      findCopied: async () => undefined,
    },
  })
  const stop = new AbortController()
  const notarising = notary.notarise(stop.signal)
  await notary.signedLog.newestOver(small, 60_000)
  const before = await proofTimes(small)

  const made = process.cpuUsage()
  const began = performance.now()
  upTo = events
  grown.resolve()
  grown = Promise.withResolvers()
  const newest = await notary.signedLog.newestOver(events, 3_600_000)
  const seconds = (performance.now() - began) / 1_000
  const { user } = process.cpuUsage(made)
  if (newest?.size !== events) throw new Error(`only ${newest?.size} events were signed`)
  const after = await proofTimes(events)

  const leaves = Array.from({ length: hashed }, (_, index) => Buffer.from(entry(index).entry))
  const making = timed(() => {
    for (let index = 0; index < hashed; index += 1) storedEvent(index)
  })
  const hashing = timed(() => {
    for (const leaf of leaves) hash('sha256', leaf, 'buffer')
  })
  // What it takes to make the sample up is none of the notary's.
  const perSecond = events / (seconds - (making * events) / hashed)
  const bytes = leaves.reduce((sum, leaf) => sum + leaf.length, 0) / hashed
  console.log(
    `notary: ${Math.round(perSecond)} leaves/s of ${Math.round(bytes)} bytes beside SHA-256 ${Math.round(hashed / hashing)}/s = ` +
      `${(perSecond / (hashed / hashing)).toFixed(2)} (aim 0.3); ${notes.length} notes; ${(user / events).toFixed(1)} µs CPU a leaf, the sample's making included`,
  )
  console.log(
    `proof p50, p99: ${told(before)} at ${small} events, ${told(after)} at ${events} (aim p99 ≤ 5 ms, within 1.5×)`,
  )
  stop.abort()
  grown.resolve()
  await notarising
  await notary.close()

  async function proofTimes(size: number): Promise<number[]> {
    const times: number[] = []
    for (let n = 0; n < proofs; n += 1) {
      const index = Math.floor(Math.random() * size)
      const start = performance.now()
      await notary.signedLog.inclusion([index], size)
      times.push(performance.now() - start)
    }
    return times.sort((a, b) => a - b)
  }
} finally {
  await postgres.close()
  await rm(dataDir, { recursive: true, force: true })
}

/** In seconds. */
function timed(work: () => void): number {
  const start = performance.now()
  work()
  return (performance.now() - start) / 1_000
}

function told(times: readonly number[]): string {
  const part = (share: number) => (times[Math.floor(times.length * share)] ?? Number.NaN).toFixed(2)
  return `${part(0.5)}, ${part(0.99)} ms`
}
