import { setTimeout as delay } from 'node:timers/promises'

/** One of the two that are measured: how much it did a second, in a run of so many milliseconds. */
export type Contender = (durationMs: number) => Promise<number>

export interface Comparison {
  /** Medians of the rounds. */
  readonly ours: number
  readonly beside: number
  readonly ratio: number
  /** Of the rounds, in ascending order. */
  readonly ratios: readonly number[]
}

const rounds = 5
const roundMs = 3_000
const warmUpMs = 3_000
const restMs = 200

/**
 * Ours and what it is held against in turn, round by round and each first in every other, after a warm-up of both. Whatever else the
 * machine does then falls on both; and the median of the rounds' ratios does not mind the round on which it fell on one.
 */
export async function inRounds(ours: Contender, beside: Contender): Promise<Comparison> {
  await ours(warmUpMs)
  await beside(warmUpMs)
  const measured: { readonly ours: number; readonly beside: number }[] = []
  for (let round = 0; round < rounds; round += 1) {
    const run = async (contender: Contender) => {
      await delay(restMs)
      return contender(roundMs)
    }
    if (round % 2 === 0) {
      const first = await run(ours)
      measured.push({ ours: first, beside: await run(beside) })
    } else {
      const first = await run(beside)
      measured.push({ ours: await run(ours), beside: first })
    }
  }
  const ratios = measured.map((round) => round.ours / round.beside).sort((a, b) => a - b)
  return {
    ours: median(measured.map((round) => round.ours)),
    beside: median(measured.map((round) => round.beside)),
    ratio: median(ratios),
    ratios,
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}
