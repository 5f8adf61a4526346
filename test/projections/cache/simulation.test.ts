import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { simulate } from './simulation.ts'

vi.mock('node:timers/promises', async () => await import('./faked-timers.ts'))

const simulatedMs = 60_000
const runs = 12

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const firstSeed = Number(process.env.CACHE_SEED ?? Date.now() % 2 ** 31)

test.each(Array.from({ length: runs }, (_, run) => firstSeed + run))(
  'whatever befalls Redis, Postgres and the processes, no read shows less than was shown before it (CACHE_SEED=%i)',
  async (seed) => {
    const simulation = simulate(seed)
    await vi.advanceTimersByTimeAsync(simulatedMs)
    simulation.stop()
    await vi.advanceTimersByTimeAsync(20_000)
    expect(simulation.faults).toEqual([])
    // It was no empty show.
    expect(simulation.commits()).toBeGreaterThan(50)
    expect(simulation.hits()).toBeGreaterThan(100)
    expect(simulation.leaderHits()).toBeGreaterThan(50)
  },
)
