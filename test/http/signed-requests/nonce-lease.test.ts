/** The lease of the nonces over a memory in this process, in a time that the test makes, with every fault that can be thought of. */
import fc from 'fast-check'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { type MonotonicClock, openLeasedNonces } from '../../../src/http/signed-requests/nonce-lease.ts'
import { aheadMs, longestKeptMs, type Nonces, windowMs } from '../../../src/http/signed-requests/nonces.ts'
import { leaseMs, quietMs, type SharedNonces } from '../../../src/http/signed-requests/shared-nonces.ts'

const log = pino({ level: 'silent' })
const place = (keyId: string, nonce: string) => JSON.stringify([keyId, nonce])

/** The model of a store: what the scripts in Redis and the functions in Postgres do. Its clock may be set. */
function openStore(time: { ms: number }) {
  let setMs = 0
  const nowMs = () => time.ms + setMs
  let memory: { begunMs: number; holder?: string | undefined; untilMs: number } | undefined = {
    begunMs: Number.NEGATIVE_INFINITY,
    untilMs: 0,
  }
  const used = new Map<string, { pair: readonly [string, string]; untilMs: number }>()
  const seen = new Map<string, number>()
  const isWanted = (process: string) =>
    [...seen].some(([other, ms]) => other !== process && ms > nowMs() - quietMs)
  const remember = (pair: readonly [string, string], keepMs: number) => {
    const at = place(...pair)
    const known = used.get(at)
    if (known && known.untilMs > nowMs()) return false
    used.set(at, { pair, untilMs: nowMs() + keepMs })
    return true
  }
  const forProcess = (process: string): SharedNonces => ({
    use: async (uses) => {
      seen.set(process, nowMs())
      memory ??= { begunMs: nowMs(), untilMs: 0 }
      if (memory.holder !== undefined && memory.holder !== process) {
        if (memory.untilMs >= nowMs()) return { held: true }
        memory = { begunMs: Math.max(memory.begunMs, memory.untilMs - aheadMs), untilMs: 0 }
      }
      const fresh = uses.map(({ keyId, nonce, keepMs }) => remember([keyId, nonce], keepMs))
      return { held: false, begunMs: memory.begunMs, fresh }
    },
    lease: async () => {
      if (!memory || memory.holder !== undefined || isWanted(process)) return false
      memory = { ...memory, holder: process, untilMs: nowMs() + leaseMs }
      return true
    },
    renew: async () => {
      if (memory?.holder !== process) return undefined
      memory.untilMs = Math.max(memory.untilMs, nowMs() + leaseMs)
      return { endMs: memory.untilMs, begunMs: memory.begunMs, isWanted: isWanted(process) }
    },
    living: async function* () {
      yield [...used.values()].map(({ pair }) => pair)
    },
    keep: async (pairs, keepMs) => {
      for (const pair of pairs) remember(pair, keepMs)
    },
    release: async () => {
      if (memory?.holder === process) memory = { begunMs: memory.begunMs, untilMs: 0 }
    },
    close: async () => void seen.delete(process),
  })
  return {
    forProcess,
    lose: () => {
      memory = undefined
      used.clear()
      seen.clear()
    },
    set: (ms: number) => {
      setMs = ms
    },
  }
}

/** Time that passes when it is told to, and then only as far as the next thing that waits for it. */
function openTime() {
  const time = { ms: 1_800_000_000_000 }
  const waiting = new Set<{ untilMs: number; clockOf: () => boolean; end: () => void }>()
  return {
    time,
    /** The clock of a process, which does nothing while it is stalled. */
    clockOf: (isStalled: () => boolean): MonotonicClock => ({
      now: () => time.ms,
      pause: (ms, signal) =>
        new Promise((resolve) => {
          const entry = {
            untilMs: time.ms + ms,
            clockOf: () => !isStalled(),
            end: () => {
              waiting.delete(entry)
              resolve()
            },
          }
          waiting.add(entry)
          signal?.addEventListener('abort', entry.end)
          if (signal?.aborted) entry.end()
        }),
    }),
    pass: async (ms: number) => {
      const untilMs = time.ms + ms
      await settled()
      for (;;) {
        const due = [...waiting].filter((entry) => entry.clockOf() && entry.untilMs <= untilMs)
        const [next] = due.sort((a, b) => a.untilMs - b.untilMs)
        if (!next) break
        time.ms = Math.max(time.ms, next.untilMs)
        next.end()
        await settled()
      }
      time.ms = untilMs
    },
  }
}

/** All that needs no time is done. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

type Fate = 'fine' | 'lost' | 'unanswered' | 'late'

/** A process: its wall clock may be set, its connection fail in both directions, and it may be stalled. */
function openProcess(name: string, store: ReturnType<typeof openStore>, time: ReturnType<typeof openTime>) {
  let isStalled = false
  let setMs = 0
  let fate: Fate = 'fine'
  const late: (() => void)[] = []
  const inner = store.forProcess(name)
  const failing =
    <A extends unknown[], R>(step: (...of: A) => Promise<R>) =>
    async (...of: A): Promise<R> => {
      if (fate === 'lost') throw new Error('lost')
      if (fate === 'late') await new Promise<void>((resolve) => late.push(resolve))
      const answer = await step(...of)
      if (fate === 'unanswered') throw new Error('unanswered')
      return answer
    }
  const nonces: Nonces = openLeasedNonces(
    {
      ...inner,
      use: failing(inner.use),
      lease: failing(inner.lease),
      renew: failing(inner.renew),
      keep: failing(inner.keep),
      release: failing(inner.release),
    },
    log,
    time.clockOf(() => isStalled),
  )
  const wallMs = () => time.time.ms + setMs
  return {
    nonces,
    /** As check.ts does; whether it was taken, when that is known. */
    use: async (nonce: string, createdMs: number): Promise<boolean> => {
      if (wallMs() - createdMs > windowMs || createdMs - wallMs() > aheadMs) return false
      const keepMs = Math.min(Math.max(createdMs + windowMs + 60_000 - wallMs(), 60_000), longestKeptMs)
      const answer = nonces.use('key', nonce, createdMs, keepMs)
      if (typeof answer === 'boolean') return answer
      return answer.then((isFirst) => isFirst && wallMs() - createdMs <= windowMs).catch(() => false)
    },
    wallMs,
    set: (ms: number) => {
      setMs = ms
    },
    stall: (stalled: boolean) => {
      isStalled = stalled
    },
    meet: (next: Fate) => {
      fate = next
      if (next !== 'late') for (const go of late.splice(0)) go()
    },
  }
}

const process = fc.nat({ max: 2 })
const steps = [
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('use' as const),
      process,
      ageMs: fc.integer({ min: -9_000, max: 20_000 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('replay' as const), process, which: fc.nat({ max: 5 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 5_000 }), fc.constantFrom(12_000, 60_000, 310_000)),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('meet' as const),
      process,
      fate: fc.constantFrom<Fate>('fine', 'fine', 'lost', 'unanswered', 'late'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stall' as const), process, stalled: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const), process }) },
]
const lose = { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const) }) }
/** By so little that a nonce is still remembered for longer than its signature can be young: see `marginMs`. */
const set = {
  weight: 2,
  arbitrary: fc.oneof(
    fc.record({ do: fc.constant('set' as const), process, ms: fc.integer({ min: -15_000, max: 15_000 }) }),
    fc.record({ do: fc.constant('set the store' as const), ms: fc.integer({ min: -10_000, max: 10_000 }) }),
  ),
}

// A memory that is lost vouches again after ten seconds by its clock: so its clock and those of the processes are not both set and it lost.
test.each([
  { what: 'processes and memory', step: fc.oneof(...steps, lose, { ...set, weight: 0 }) },
  { what: 'processes and clocks', step: fc.oneof(...steps, { ...lose, weight: 0 }, set) },
])(
  'no signature is taken twice, whatever happens to $what',
  async ({ step }) => {
    let taken = 0
    let takenAtOnce = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
        const time = openTime()
        const store = openStore(time.time)
        let names = 0
        const open = () => openProcess(`process ${++names}`, store, time)
        const processes = [open(), open(), open()]
        const of = (at: number) => processes[at] ?? open()
        const signatures: { nonce: string; createdMs: number; takenBy: string[] }[] = []
        const use = (at: number, signature: (typeof signatures)[number]) => {
          const name = `${at} of ${names}`
          let isAtOnce = true
          void of(at)
            .use(signature.nonce, signature.createdMs)
            .then((isFirst) => {
              if (!isFirst) return
              signature.takenBy.push(name)
              taken += 1
              if (isAtOnce) takenAtOnce += 1
            })
          queueMicrotask(() =>
            queueMicrotask(() => queueMicrotask(() => queueMicrotask(() => (isAtOnce = false)))),
          )
        }
        // So that one has the memory to itself: in most runs that is where it begins.
        use(0, { nonce: 'the very first one', createdMs: time.time.ms, takenBy: [] })
        await time.pass(1_500)
        for (const step of steps) {
          switch (step.do) {
            case 'use': {
              const createdMs = of(step.process).wallMs() - step.ageMs
              const signature = { nonce: `nonce ${signatures.length}`, createdMs, takenBy: [] }
              signatures.push(signature)
              use(step.process, signature)
              break
            }
            case 'replay': {
              const signature = signatures.at(-1 - step.which)
              if (signature) use(step.process, signature)
              break
            }
            case 'pass':
              await time.pass(step.ms)
              break
            case 'meet':
              of(step.process).meet(step.fate)
              break
            case 'stall':
              of(step.process).stall(step.stalled)
              break
            case 'kill':
              // Nothing more is asked of it, and it does nothing more.
              of(step.process).stall(true)
              of(step.process).meet('lost')
              processes[step.process] = open()
              break
            case 'lose':
              store.lose()
              break
            case 'set':
              of(step.process).set(step.ms)
              break
            case 'set the store':
              store.set(step.ms)
              break
          }
          await settled()
        }
        for (const process of processes) {
          process.stall(false)
          process.meet('fine')
        }
        await time.pass(5_000)
        for (const { takenBy } of signatures) expect(takenBy.length).toBeLessThanOrEqual(1)
      }),
      { numRuns: 300 },
    )
    expect(takenAtOnce).toBeGreaterThan(50)
    expect(taken).toBeGreaterThan(takenAtOnce)
  },
  120_000,
)
