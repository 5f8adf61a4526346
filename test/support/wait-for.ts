import { setTimeout as delay } from 'node:timers/promises'

const pollIntervalMs = 20
/**
 * So long that only what never happens runs into it, on the slowest machine too. The slowest thing there is: a broker gives up on a
 * transaction after the 30 s that we give it, looks for such every 10 s, and may have to do so twice after its restart.
 */
const patienceMs = 120_000

/**
 * Resolves to the first truthy answer of `condition`. An error it throws counts as "not yet"; the last one is the cause of the
 * Error that names what was waited for in vain.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { describe }: { readonly describe: string },
): Promise<NonNullable<T>> {
  const deadline = Date.now() + patienceMs
  let cause: unknown
  do {
    try {
      const answer = await condition()
      if (answer) return answer
      cause = undefined
    } catch (error) {
      cause = error
    }
    await delay(pollIntervalMs)
  } while (Date.now() < deadline)
  throw new Error(`waited ${patienceMs / 1000} s in vain until ${describe}`, { cause })
}
