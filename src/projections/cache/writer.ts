import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { IncidentId } from '../../aggregates/incident/index.ts'
import { type CacheEpoch, leaseMs } from '../announcements.ts'
import type { CacheWriter } from '../read-model.ts'
import type { EpochRow } from './epoch-row.ts'
import { freshName } from './name.ts'
import type { CacheStore } from './store.ts'

export interface KeptCacheWriter extends CacheWriter {
  /** Ends the term, and retires its epoch if Postgres answers. */
  readonly close: () => Promise<void>
}

/** Two processes' clocks do not run equally fast, and a timer may ring a little early. */
const marginMs = 300
const beatIntervalMs = 500
/** Between two attempts to tell Postgres what it must know. */
const persistIntervalMs = 200

/** One leader's say over the cache. */
interface Term {
  readonly leader: string
  readonly signal: AbortSignal
  /** Of the last retirement. */
  version: string
  /** Where withholding goes. Undefined: no reader has a cache, so that nothing need be told to one. */
  epoch: CacheEpoch | undefined
  retiring: Promise<void> | undefined
  suspended: boolean
  /** The last attempt to open failed, which is said once. */
  troubled: boolean
  /** Another leader has taken the cache over. */
  deposed: boolean
  /** What is withheld between `withhold` and `refresh`. */
  batch: { readonly number: number; readonly ids: readonly IncidentId[] } | undefined
}

/**
 * Drives a store for the leading projector. `takeOver` rejects only when its signal aborts. `withhold` rejects where it could
 * not be made safe to commit: the term is over, or another leader has taken the cache over. Nothing else rejects.
 */
export function createCacheWriter(options: {
  readonly store: CacheStore
  readonly row: EpochRow
  readonly log: Logger
}): KeptCacheWriter {
  const { store, row, log } = options
  let current: { readonly term: Term; readonly end: () => void; readonly keeping: Promise<void> } | undefined
  let batches = 0
  let wake = () => {}

  return {
    async takeOver(signal) {
      await endTerm()
      const ending = new AbortController()
      const termSignal = AbortSignal.any([signal, ending.signal])
      const term = await begun(freshName(), termSignal)
      current = { term, end: () => ending.abort(), keeping: keep(term) }
    },
    async withhold(ids) {
      const term = current?.term
      if (!term) throw new Error('the cache is written by nobody yet')
      term.batch = { number: ++batches, ids }
      await withholdOrRetire(term, term.batch)
      term.signal.throwIfAborted()
      if (term.deposed) throw new Error('another leader has taken the cache over')
    },
    async refresh(entries) {
      const term = current?.term
      const batch = term?.batch
      if (!term || !batch) return
      term.batch = undefined
      const { epoch } = term
      if (!epoch) return
      const outcome = await store.refresh(epoch, batch.number, entries).catch(() => 'lost' as const)
      // What is not refreshed stays withheld: that is safe, but a waste from now on.
      if (outcome === 'lost') renew(term, epoch)
    },
    async suspend() {
      const term = current?.term
      if (!term) return
      term.suspended = true
      if (term.epoch) await retire(term, term.epoch).catch(() => {})
    },
    async resume() {
      if (current) current.term.suspended = false
      wake()
    },
    close: endTerm,
  }

  async function endTerm() {
    const ended = current
    current = undefined
    ended?.end()
    await ended?.keeping
  }

  async function begun(leader: string, signal: AbortSignal): Promise<Term> {
    const { version, secondsRetired } = await persist(() => row.takeOver(leader), signal)
    const passedMs = secondsRetired === null ? 0 : secondsRetired * 1_000
    await delay(Math.max(0, leaseMs + marginMs - passedMs), undefined, { signal })
    await row.settle(leader, version).catch(() => {})
    return {
      leader,
      signal,
      version,
      epoch: undefined,
      retiring: undefined,
      suspended: true,
      troubled: false,
      deposed: false,
      batch: undefined,
    }
  }

  async function withholdOrRetire(term: Term, batch: { number: number; ids: readonly IncidentId[] }) {
    const { epoch } = term
    if (!epoch) return
    try {
      const outcome = await store.withhold(epoch, batch.number, batch.ids)
      if (outcome === 'lost') renew(term, epoch)
    } catch (error) {
      log.warn({ err: error }, 'the cache cannot be told of a change: it is given up')
      await retire(term, epoch)
    }
  }

  /** Gives the epoch up without having anyone wait: until its last reader is gone it is withheld from as before. */
  function renew(term: Term, epoch: CacheEpoch) {
    retire(term, epoch).catch(() => {})
  }

  /** Resolves when nobody can read the epoch any more. Rejects when the term ends before. */
  function retire(term: Term, epoch: CacheEpoch): Promise<void> {
    // News of an epoch may come late, when it is retired already and another is open.
    if (term.epoch !== epoch) return Promise.resolve()
    term.retiring ??= retired(term).finally(() => {
      term.retiring = undefined
      wake()
    })
    return term.retiring
  }

  async function retired(term: Term): Promise<void> {
    const { leader, signal } = term
    const retirement = await persist(() => row.retire(leader), signal)
    if (!retirement) {
      term.deposed = true
      throw new Error('another leader has taken the cache over')
    }
    term.version = retirement.version
    await delay(leaseMs + marginMs, undefined, { signal })
    term.epoch = undefined
    // Not awaited: the next epoch may open meanwhile, and its retirement must not be taken for this one.
    void row.settle(leader, retirement.version).catch(() => {})
  }

  /** Watches over the epoch, and opens another when there is none, until the term ends. */
  async function keep(term: Term): Promise<void> {
    const { signal, leader } = term
    signal.addEventListener('abort', () => wake())
    while (!signal.aborted && !term.deposed) {
      if (term.epoch) await watch(term)
      else if (!term.suspended) await open(term)
      await nextBeat(signal)
    }
    // Another leader may follow sooner then: what has passed by the time it comes, it need not wait for.
    const retirement = await row.retire(leader).catch(() => undefined)
    if (retirement) await row.settle(leader, retirement.version).catch(() => {})
  }

  async function watch(term: Term): Promise<void> {
    const { epoch, leader } = term
    if (!epoch || term.retiring !== undefined) return
    const kept = await store.beat(epoch).catch(() => 'lost' as const)
    const held = await row.held(leader).catch(() => 'unknown' as const)
    if (held === undefined) term.deposed = true
    else if (kept === 'lost' || (held !== 'unknown' && held.epoch !== epoch.name))
      await retire(term, epoch).catch(() => {})
  }

  async function open(term: Term): Promise<void> {
    const { version } = term
    const place = store.place()
    if (place === undefined) return
    const epoch: CacheEpoch = { name: freshName(), place }
    try {
      await store.begin(epoch)
      if (term.suspended) return
      // From here on each batch is withheld from it; the one under way, which was not, is so before anyone may read.
      term.epoch = epoch
      if (term.batch) await store.withhold(epoch, term.batch.number, term.batch.ids)
      // A retirement since then has another version, and prevails, whichever of the two Postgres hears first.
      const opened = await row.open(term.leader, version, epoch)
      if (!opened) throw new Error('the cache was retired or taken over meanwhile')
      term.troubled = false
      log.info({ place }, 'the cache is kept')
    } catch (error) {
      if (!term.troubled) log.warn({ err: error }, 'the cache cannot be opened')
      term.troubled = true
      await retire(term, epoch).catch(() => {})
    }
  }

  function nextBeat(signal: AbortSignal) {
    return new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, beatIntervalMs)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
      if (signal.aborted) wake()
    })
  }
}

/** Asks again until it is answered. Rejects when the signal aborts, even while a question is out. */
async function persist<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  aborted.promise.catch(() => {})
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort)
  try {
    for (;;) {
      signal.throwIfAborted()
      const answer = await Promise.race([
        ask().then(
          (value) => ({ value }),
          () => undefined,
        ),
        aborted.promise,
      ])
      if (answer) return answer.value
      await delay(persistIntervalMs, undefined, { signal })
    }
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
