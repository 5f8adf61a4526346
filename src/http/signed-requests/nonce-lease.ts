/**
 * Nonces, remembered by all processes together or, while one process alone checks signatures, by that one: so that it need not ask for each
 * request. Why a signature is taken once all the same, whatever becomes of the processes and their connections:
 *
 * 1. A process remembers by itself only while it holds the lease, which the shared memory gives to one. The others' uses are refused by the
 *    store, in the step that would make them, as long as somebody holds it. A lease is given after all uses of others, and the holder
 *    reads what is remembered before it trusts itself: it knows of every nonce that was used before it came.
 * 2. By itself it takes only signatures that were created up to the end of its lease, as the store last confirmed that end. A lease never ends
 *    earlier than was confirmed. What was created later goes to the store.
 * 3. What it took is written to the store once a second. It gives the lease up after it has written all of it, and from the moment
 *    it begins to, it takes nothing by itself. So those who come after find all of it.
 * 4. A holder that dies, stalls, or is cut off takes what is not yet written with it. Whoever comes after waits until the lease has run out by the
 *    store's clock, and ends it, in one step; the memory then refuses what was created up to that end, which by 2 is all that the lost holder
 *    took or, waking up late, will take by itself. So nothing hangs on how fast anybody's clock runs, or whether it is set.
 * 5. A memory that was lost (a Redis flushed, a Postgres that crashed) has lost the lease too. It begins anew and refuses what was created up to
 *    `aheadMs` after that; the holder took nothing by itself that was created later, for a lease ends `leaseMs` after it was confirmed,
 *    which is less. With the next renewal the holder learns that it is none any more.
 * 6. Uses that the holder itself asks the store for are marked in its memory before: what it then takes by itself is not one of them.
 * 7. A holder forgets after `longestKeptMs` by a clock that is never set. Should its wall clock be set back, so that what it forgot would be young
 *    again, it refuses what was created up to the latest time of what it forgot.
 *
 * What must be so: the store is one server, which orders its steps; and it does not lose its memory and have its clock set back at once.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { type NonceSieve, openNonceSieve } from './nonce-sieve.ts'
import { aheadMs, longestKeptMs, type Nonces, notRemembered } from './nonces.ts'
import { leaseMs, type SharedNonces } from './shared-nonces.ts'

const beatMs = 1_000
/** A lease that was not given is not asked for again before. */
const leaseRetryMs = 10_000
/** A holder of whom nobody asks anything gives the lease up. */
const idleMs = 60_000
/** So long a request waits for another process to give up the lease; that takes a beat and the writing of what was used within it. */
const patienceMs = 2_500
const askAgainMs = 50
const mostAtOnce = 1_000
const mostKeptAtOnce = 5_000

interface Asked {
  readonly keyId: string
  readonly nonce: string
  readonly createdMs: number
  readonly keepMs: number
  readonly sinceMs: number
  readonly settle: PromiseWithResolvers<boolean>
}

/** What the holder took by itself and has not written yet: nonces by key. */
type Unwritten = Map<string, Set<string>>

interface Lease {
  readonly sieve: NonceSieve
  /** Whether signatures may be taken by it alone. */
  isTrusted: boolean
  /** Of signatures taken by it alone: created after, and up to. */
  afterMs: number
  endMs: number
  /** When the renewal was sent that was confirmed last, on the monotonic clock. */
  renewedMs: number
  unwritten: Unwritten
  /** What is being written. */
  writing: Unwritten
}

/** A clock that is never set, in ms, and pauses by it, which end early when their signal aborts. */
export interface MonotonicClock {
  readonly now: () => number
  readonly pause: (ms: number, signal?: AbortSignal) => Promise<void>
}

const monotonicClock: MonotonicClock = {
  now: () => performance.now(),
  pause: (ms, signal) => delay(ms, undefined, { signal, ref: false }).catch(() => {}),
}

/** Nonces in this shared memory. */
export function openLeasedNonces(
  shared: SharedNonces,
  log: Pick<Logger, 'warn' | 'info' | 'debug'>,
  { now, pause }: MonotonicClock = monotonicClock,
): Nonces {
  const waiting: Asked[] = []
  let working: Promise<void> | undefined
  let lease: Lease | undefined
  /** Of a lease that is asked for, and whether it is right now. */
  let coming: NonceSieve | undefined
  let isComing = false
  let usedMs = Number.NEGATIVE_INFINITY
  let nextLeaseMs = Number.NEGATIVE_INFINITY
  let isUsed = false
  let isTroubled = false
  const closing = new AbortController()
  const beating = beat()

  return {
    use: (keyId, nonce, createdMs, keepMs) => {
      isUsed = true
      if (lease !== undefined) {
        if (createdMs <= lease.sieve.forgottenMs()) return Promise.reject(notRemembered())
        const isKnown = lease.sieve.put(keyId, nonce, createdMs)
        if (isKnown) {
          if (has(lease.unwritten, keyId, nonce) || has(lease.writing, keyId, nonce)) return false
        } else if (lease.isTrusted && createdMs <= lease.endMs && createdMs > lease.afterMs) {
          add(lease.unwritten, keyId, nonce)
          return true
        }
      } else if (isComing) coming?.put(keyId, nonce, createdMs)
      return ask(keyId, nonce, createdMs, keepMs)
    },
    close: async () => {
      closing.abort()
      await beating
      await working
      if (lease) await giveUp(lease).catch(() => {})
      await shared.close()
    },
  }

  function ask(keyId: string, nonce: string, createdMs: number, keepMs: number): Promise<boolean> {
    const settle = Promise.withResolvers<boolean>()
    waiting.push({ keyId, nonce, createdMs, keepMs, sinceMs: now(), settle })
    working ??= work()
    return settle.promise
  }

  /** Those that come while a question is under way go together in the next one. */
  async function work(): Promise<void> {
    while (waiting.length > 0) {
      const held = await useAll(waiting.splice(0, mostAtOnce))
      if (held.length === 0) continue
      waiting.unshift(...held)
      await pause(askAgainMs)
    }
    working = undefined
  }

  /** Those that another process's lease is in the way of, and that may wait still. */
  async function useAll(asked: readonly Asked[]): Promise<readonly Asked[]> {
    const firsts = new Map<string, Asked>()
    for (const use of asked) {
      const place = JSON.stringify([use.keyId, use.nonce])
      if (firsts.has(place)) use.settle.resolve(false)
      else firsts.set(place, use)
    }
    const uses = [...firsts.values()]
    try {
      const answer = await shared.use(uses)
      if (answer.held) return uses.filter(mayWait)
      for (const [at, { createdMs, settle }] of uses.entries()) {
        if (!answer.fresh[at]) settle.resolve(false)
        else if (createdMs <= answer.begunMs + aheadMs) settle.reject(notRemembered())
        else settle.resolve(true)
      }
    } catch (error) {
      for (const { settle } of uses) settle.reject(error)
    }
    return []
  }

  function mayWait({ sinceMs, settle }: Asked): boolean {
    if (now() - sinceMs < patienceMs) return true
    settle.reject(new Error('another process has not handed over the nonces that it remembers'))
    return false
  }

  async function beat(): Promise<void> {
    const { signal } = closing
    while (!signal.aborted) {
      await pause(beatMs, signal)
      if (signal.aborted) return
      if (isUsed) usedMs = now()
      isUsed = false
      try {
        if (lease) await hold(lease)
        else if (usedMs > now() - 2 * beatMs && now() >= nextLeaseMs) await take()
        isTroubled = false
      } catch (error) {
        if (!isTroubled) {
          const reason = error instanceof Error ? error.message : String(error)
          log.warn({ reason }, 'the nonces of signed requests cannot be written')
        }
        isTroubled = true
      }
    }
  }

  async function take(): Promise<void> {
    nextLeaseMs = now() + leaseRetryMs
    coming ??= openNonceSieve(longestKeptMs, now)
    isComing = true
    try {
      if (!(await shared.lease())) return
      lease = {
        sieve: coming,
        isTrusted: false,
        afterMs: Number.POSITIVE_INFINITY,
        endMs: Number.NEGATIVE_INFINITY,
        renewedMs: now(),
        unwritten: new Map(),
        writing: new Map(),
      }
      coming = undefined
    } finally {
      isComing = false
    }
    const taken = lease
    try {
      await learn(taken)
    } catch (error) {
      await giveUp(taken)
      throw error
    }
    if (lease !== taken) return
    taken.isTrusted = true
    log.debug('this process alone checks signatures: it remembers the nonces itself')
  }

  /** What was used before the lease. */
  async function learn(taken: Lease): Promise<void> {
    await renew(taken)
    // When each was created is not known, but no later than this.
    const createdMs = taken.endMs + aheadMs
    for await (const page of shared.living()) {
      closing.signal.throwIfAborted()
      for (const [keyId, nonce] of page) taken.sieve.put(keyId, nonce, createdMs)
      if (now() - taken.renewedMs > beatMs) await renew(taken)
      if (lease !== taken) return
    }
  }

  async function hold(held: Lease): Promise<void> {
    if (now() - held.renewedMs > leaseMs) held.isTrusted = false
    held.sieve.turn()
    await write(held)
    const isWanted = await renew(held)
    if (lease !== held) return
    if (isWanted || !held.isTrusted || usedMs < now() - idleMs) await giveUp(held)
  }

  /** Whether another process wants the memory. */
  async function renew(held: Lease): Promise<boolean> {
    const sentMs = now()
    const renewal = await shared.renew()
    if (renewal === undefined) {
      lease = undefined
      log.info('another process has taken over the nonces, or their memory was lost')
      return false
    }
    held.renewedMs = sentMs
    held.endMs = renewal.endMs
    held.afterMs = renewal.begunMs + aheadMs
    return renewal.isWanted
  }

  async function giveUp(held: Lease): Promise<void> {
    held.isTrusted = false
    await write(held)
    await shared.release()
    if (lease === held) lease = undefined
    nextLeaseMs = now() + leaseRetryMs
  }

  /** What is not written after all stays to be. */
  async function write(held: Lease): Promise<void> {
    const { unwritten } = held
    if (held.writing.size === 0) {
      held.writing = unwritten
      held.unwritten = new Map()
    }
    const pairs: (readonly [string, string])[] = []
    for (const [keyId, nonces] of held.writing) for (const nonce of nonces) pairs.push([keyId, nonce])
    for (let at = 0; at < pairs.length; at += mostKeptAtOnce) {
      await shared.keep(pairs.slice(at, at + mostKeptAtOnce), longestKeptMs)
    }
    held.writing = new Map()
    // After a failure there are two portions.
    if (held.unwritten === unwritten && unwritten.size > 0) await write(held)
  }
}

function has(nonces: Unwritten, keyId: string, nonce: string): boolean {
  return nonces.get(keyId)?.has(nonce) ?? false
}

function add(nonces: Unwritten, keyId: string, nonce: string): void {
  const known = nonces.get(keyId)
  if (known) known.add(nonce)
  else nonces.set(keyId, new Set([nonce]))
}
