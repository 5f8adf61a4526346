import type { IncidentId, IncidentState } from '../aggregates/incident/index.ts'
import type { IncidentRecord } from './event.ts'
import { chainLinkId } from './identity.ts'
import { type IncidentJournal, stateAfter } from './incident-journal.ts'

/**
 * The incidents that one origin reports under one external key, one after the other. Links exist from 0 without a gap; only the
 * last one counts.
 */
export interface Chain {
  /** Where a report belongs, as the store has the chain now. */
  readonly place: () => Promise<Place>
  /** The last link, as the store has the chain now; of a chain without any, the one that its first link would be. */
  readonly latest: () => Promise<IncidentId>
}

/** An incident that is open takes the report in; after one that is not, or where there is none, the report makes a new one. */
export type Place =
  | { readonly joins: IncidentId; readonly records: readonly IncidentRecord[] }
  | { readonly creates: IncidentId }

interface Link {
  readonly n: number
  readonly id: IncidentId
  readonly records: readonly IncidentRecord[]
}

/** A link that is known to exist, as a hint where to begin: wrong ones cost time only. −1 for none. */
export type ChainLowerBound = (origin: string, externalKey: string) => Promise<number>

export function openChain(
  journal: IncidentJournal,
  origin: string,
  externalKey: string,
  lowerBound: ChainLowerBound | undefined,
): Chain {
  const linkId = (n: number) => chainLinkId(origin, externalKey, n)
  const exists = (n: number) => journal.exists(linkId(n))

  async function link(n: number): Promise<Link | undefined> {
    const id = linkId(n)
    const records = await journal.read(id)
    return records.length > 0 ? { n, id, records } : undefined
  }

  async function lastLink(): Promise<Link | undefined> {
    const hint = Math.max(0, (await lowerBound?.(origin, externalKey).catch(() => 0)) ?? 0)
    let last = (await link(hint)) ?? (hint > 0 ? await link(0) : undefined)
    // A link is read before the next one is looked for: so it was the last one when it stood as it was read.
    while (last) {
      const highest = await highestExisting(exists, last.n)
      if (highest === last.n) break
      last = await link(highest)
    }
    return last
  }

  return {
    place: async () => {
      const last = await lastLink()
      if (!last) return { creates: linkId(0) }
      const { n, id, records } = last
      return isOpen(stateAfter(id, records)) ? { joins: id, records } : { creates: linkId(n + 1) }
    },
    latest: async () => (await lastLink())?.id ?? linkId(0),
  }
}

function isOpen({ status }: IncidentState): boolean {
  return status !== 'resolved' && status !== 'closed'
}

/** The highest n of those that exist, which they do without a gap up from `known`: by galloping and bisection. */
async function highestExisting(exists: (n: number) => Promise<boolean>, known: number): Promise<number> {
  let low = known
  let stride = 1
  while (await exists(low + stride)) {
    low += stride
    stride *= 2
  }
  let absent = low + stride
  while (absent - low > 1) {
    const middle = Math.floor((low + absent) / 2)
    if (await exists(middle)) low = middle
    else absent = middle
  }
  return low
}
