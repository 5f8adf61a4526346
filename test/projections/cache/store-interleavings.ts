import fc from 'fast-check'
import type { IncidentId } from '../../../src/aggregates/incident/index.ts'
import type { CacheEpoch } from '../../../src/projections/announcements.ts'
import type { CacheStore } from '../../../src/projections/cache/store.ts'
import type { StoredIncident } from '../../../src/projections/read-model.ts'
import { newEpoch } from './store-contract.ts'
import { idOf, isHit, stored } from './stored-incident.ts'

/** A store that loses what it is told to: the nth of its keys, whatever that is, or all. */
export interface LossyStore {
  readonly store: CacheStore
  readonly evict: (epoch: CacheEpoch, nth: number) => Promise<void>
  readonly flush: () => Promise<void>
}

const ids = [idOf(0), idOf(1)]
const idIndex = fc.nat(ids.length - 1)
const late = fc.nat(7)

/** What can happen next, between any two steps of all others. */
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('withhold'), of: fc.subarray([0, 1], { minLength: 1 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('commit') }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('refresh') }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('read'), of: idIndex }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('ask Postgres'), which: late }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('fill'), which: late }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('an old message again'), which: late }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('evict'), which: late }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('flush') }) },
) as fc.Arbitrary<Step> // fast-check widens the constants to string
type Step =
  | { do: 'withhold'; of: number[] }
  | { do: 'commit' | 'refresh' | 'flush' }
  | { do: 'read'; of: number }
  | { do: 'ask Postgres' | 'fill' | 'an old message again' | 'evict'; which: number }

/** Under one epoch, however writer, readers, losses and late messages interleave, no read shows less than was shown before it. */
export function neverOlder(open: () => Promise<LossyStore>, runs: number) {
  return fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
      const { store, evict, flush } = await open()
      const epoch = newEpoch(store)
      await store.begin(epoch)

      const committed = new Map<IncidentId, number>(ids.map((id) => [id, 0]))
      const shown = new Map(committed)
      let batch: { number: number; ids: IncidentId[]; committed: boolean } | undefined
      let batches = 0
      /** A read that missed and, once asked, what Postgres said; filling may take as long as it likes. */
      const slow: { id: IncidentId; lease: string | undefined; least: number; value?: StoredIncident }[] = []
      const messages: (() => Promise<unknown>)[] = []

      const revisionOf = (id: IncidentId) => committed.get(id) ?? 0
      const show = (id: IncidentId, revision: number, least: number) => {
        if (revision < least) throw new Error(`revision ${revision} of ${id} is shown after ${least}`)
        shown.set(id, Math.max(revision, shown.get(id) ?? 0))
      }
      const send = (message: () => Promise<unknown>) => {
        messages.push(message)
        return message()
      }

      for (const each of steps) {
        switch (each.do) {
          case 'withhold': {
            const names = { number: ++batches, ids: each.of.map(idOf) }
            batch = { ...names, committed: false }
            await send(() => store.withhold(epoch, names.number, names.ids))
            break
          }
          case 'commit':
            if (!batch || batch.committed) break
            batch.committed = true
            for (const id of batch.ids) {
              committed.set(id, revisionOf(id) + 1)
              // From now on a list may have shown it.
              shown.set(id, revisionOf(id))
            }
            break
          case 'refresh': {
            if (!batch?.committed) break
            const { number } = batch
            const entries = new Map(batch.ids.map((id) => [id, stored(id, revisionOf(id))]))
            batch = undefined
            await send(() => store.refresh(epoch, number, entries))
            break
          }
          case 'read': {
            const id = idOf(each.of)
            const least = shown.get(id) ?? 0
            const answer = await store.read(epoch, id)
            if (isHit(answer)) show(id, answer.revision, least)
            else slow.push({ id, lease: answer.lease, least })
            break
          }
          case 'ask Postgres': {
            const read = nth(
              slow.filter((read) => !read.value),
              each.which,
            )
            if (!read) break
            read.value = stored(read.id, revisionOf(read.id))
            show(read.id, read.value.revision, read.least)
            break
          }
          case 'fill': {
            const read = nth(
              slow.filter((read) => read.value && read.lease),
              each.which,
            )
            const { id, lease, value } = read ?? {}
            if (!read || !id || !lease || !value) break
            slow.splice(slow.indexOf(read), 1)
            await send(() => store.fill(id, lease, value))
            break
          }
          case 'an old message again':
            await nth(messages, each.which)?.()
            break
          case 'evict':
            await evict(epoch, each.which)
            break
          case 'flush':
            await flush()
            break
        }
      }
    }),
    { numRuns: runs },
  )
}

/** Some one of them; the latest for 0. */
function nth<T>(all: readonly T[], which: number): T | undefined {
  return all.at(-1 - (which % all.length))
}
