/**
 * How far the read model is, as this process hears it: by NOTIFY at once, and by asking Postgres every 250 ms, on which alone
 * its certainty rests. A notification may have lain in a buffer while this process slept; an answer is no older than its
 * question. So what was heard may be relied on for a second after the last answered question was sent, and not longer.
 */
import type { Logger } from 'pino'
import { type HeardRow, hear } from './hearing.ts'
import { comparePositions, createPositionWaiters } from './position-waiters.ts'
import type { Announced, Announcements } from './read-model.ts'

export interface LocalAnnouncements extends Announcements {
  /** What this process, as the one that leads, has just committed: ahead of its own NOTIFY. */
  readonly announceLocally: (announced: Announced) => void
  /** The cache that may be read now; undefined where there is none or it is not certain. */
  readonly cacheLease: () => CacheEpoch | undefined
  /** Null seconds: no projector has ever beaten, or Postgres was never heard. */
  readonly health: () => {
    readonly announcedIndex: number
    readonly secondsSinceBeat: number | null
    readonly farBehind: boolean
  }
  readonly close: () => Promise<void>
}

/** A key space of the cache, and who keeps it: a process, or one life of a Redis server. */
export interface CacheEpoch {
  readonly name: string
  readonly place: string
}

/** For how long after the question what it was answered may be relied on, in this process's own monotonic time. */
export const leaseMs = 1_000
/**
 * A projector beats every 400 ms, and says with each beat whether it keeps up. One that has not said so for this long is not waited for.
 * Not sooner: one that has just begun is not heard yet, and takes itself for far behind until it knows what is to come.
 */
const patienceMs = 2_000

/** Resolves after the first answer, or after a second without one. Never throws: it connects again for ever, until `close`. */
export async function openAnnouncements(options: {
  readonly databaseUrl: string
  readonly log: Logger
}): Promise<LocalAnnouncements> {
  const { databaseUrl, log } = options
  const closing = new AbortController()
  const waiters = createPositionWaiters()
  const listeners = new Set<(announced: Announced) => void>()
  const firstAnswer = Promise.withResolvers<void>()
  let announced: Announced | undefined
  let answer: Answer | undefined
  /** When a projector was last known to keep up; at first, it may be just about to. By this process's monotonic time. */
  let keptUpAtMs = performance.now()

  const hearing = hear({
    databaseUrl,
    signal: closing.signal,
    onNotification: (payload) => {
      const heard = parseNotification(payload)
      if (heard) accept(heard)
    },
    onAnswer: (row, askedAtMs) => {
      answer = parseAnswer(row, askedAtMs)
      if (answer.announced) accept(answer.announced)
      if (!answer.farBehind && answer.secondsSinceBeat !== undefined) {
        const beatAtMs = askedAtMs - Math.max(0, answer.secondsSinceBeat) * 1_000
        keptUpAtMs = Math.max(keptUpAtMs, beatAtMs)
      }
      if (isVain()) waiters.dismiss()
      firstAnswer.resolve()
    },
    onConnection: (lost) => {
      if (lost) log.warn({ err: lost }, 'announcements are not heard: the connection to Postgres is lost')
      else log.info('announcements are heard again')
    },
  })
  await Promise.race([firstAnswer.promise, new Promise((resolve) => setTimeout(resolve, leaseMs).unref())])

  return {
    current: () => (isFresh() ? announced : undefined),
    async reached(position, timeoutMs) {
      if (announced && comparePositions(announced.position, position) >= 0) return true
      if (isVain()) return false
      return waiters.wait(position, timeoutMs)
    },
    listen(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    announceLocally: accept,
    cacheLease: () => (isFresh() ? answer?.epoch : undefined),
    health: () => ({
      announcedIndex: announced?.index ?? -1,
      secondsSinceBeat: secondsSinceBeat(),
      farBehind: answer?.farBehind ?? false,
    }),
    async close() {
      closing.abort()
      await hearing
      waiters.dismiss()
    },
  }

  /** Announcements may come twice and late, on several ways: only a further one counts. */
  function accept(heard: Announced) {
    if (announced && !isFurther(heard, announced)) return
    announced = heard
    waiters.release(heard.position)
    for (const listener of listeners) listener(heard)
  }

  function isFresh() {
    return answer !== undefined && performance.now() - answer.askedAtMs < leaseMs
  }

  function isVain() {
    return answer === undefined || performance.now() - keptUpAtMs >= patienceMs
  }

  function secondsSinceBeat() {
    if (answer?.secondsSinceBeat === undefined) return null
    return answer.secondsSinceBeat + (performance.now() - answer.askedAtMs) / 1_000
  }
}

interface Answer {
  readonly askedAtMs: number
  readonly announced: Announced | undefined
  readonly farBehind: boolean
  /** When it was asked, by Postgres's clock. */
  readonly secondsSinceBeat: number | undefined
  readonly epoch: CacheEpoch | undefined
}

function parseAnswer(row: HeardRow, askedAtMs: number): Answer {
  const { generation, index, commit, prepare, epoch, place } = row
  return {
    askedAtMs,
    announced:
      generation === null || index === null || commit === null || prepare === null
        ? undefined
        : announcedAt(generation, index, commit, prepare),
    farBehind: row.far_behind ?? false,
    secondsSinceBeat: row.seconds_since_beat ?? undefined,
    epoch: epoch === null || place === null ? undefined : { name: epoch, place },
  }
}

/** `<generation> <index> <commit> <prepare>`, as projections-sql/functions/announce.sql sends it. */
function parseNotification(payload: string): Announced | undefined {
  const match = /^(\d+) (-?\d+) (-?\d+) (-?\d+)$/.exec(payload)
  if (!match) return undefined
  const [, generation = '', index = '', commit = '', prepare = ''] = match
  return announcedAt(Number(generation), index, commit, prepare)
}

function announcedAt(generation: number, index: string, commit: string, prepare: string): Announced {
  return { generation, index: Number(index), position: { commit: BigInt(commit), prepare: BigInt(prepare) } }
}

/** Or as far, at the place that the same event has in another event store, to which the ledger was copied. */
function isFurther(a: Announced, b: Announced): boolean {
  if (a.generation !== b.generation) return a.generation > b.generation
  return a.index > b.index || (a.index === b.index && comparePositions(a.position, b.position) !== 0)
}
