import { personalFields } from '../aggregates/incident/index.ts'
import type { Announcements, EventsQuery, ListedEvent, Queries } from '../projections/read-model.ts'

/** The events of one query, and the index up to which nothing is missing between where it began and there. */
export interface Stretch {
  readonly events: readonly ListedEvent[]
  readonly through: number
}

export interface EventRing {
  /** Index up to which followers have been served. */
  readonly through: () => number
  /** What follows `index`, from memory, else from the read model; nothing beyond what is announced. Throws ReadModelError. */
  readonly after: (index: number, filter: EventFilter) => Promise<Stretch>
  /** Begins to follow, if nobody did before. Throws ReadModelError. */
  readonly start: () => Promise<void>
  /** Asks again for what an error kept from us. */
  readonly retry: () => void
  /** Nobody follows any more: what is announced from now on is not read. */
  readonly stop: () => void
}

export type EventFilter = Pick<EventsQuery, 'incidentId' | 'type'>

/** Events read at once, and given to a reader at once. */
const stretchLength = 250

/**
 * The latest events, for all event streams of the process: one query an announcement, however many follow. Readers who are
 * further behind than the ring reaches are served by queries of their own.
 */
export function openEventRing(options: {
  readonly queries: Pick<Queries, 'events'>
  readonly announcements: Pick<Announcements, 'current' | 'listen'>
  readonly capacity: number
  /** Called after the ring has grown. */
  readonly onGrowth: () => void
}): EventRing {
  const { queries, announcements, capacity, onGrowth } = options
  let events: ListedEvent[] = []
  /** The ring holds every event after `since` up to `through`; `announced` is how far it should reach. */
  let since = -1
  let through = -1
  let announced = -1
  let reading = false
  let unlisten: (() => void) | undefined

  async function start(): Promise<void> {
    if (unlisten) return
    unlisten = announcements.listen(({ index }) => {
      announced = Math.max(announced, index)
      void catchUp()
    })
    try {
      const index = announcements.current()?.index ?? (await newestIndex())
      events = []
      since = through = index
      announced = Math.max(announced, index)
    } catch (error) {
      stop()
      throw error
    }
  }

  function stop(): void {
    unlisten?.()
    unlisten = undefined
  }

  async function newestIndex(): Promise<number> {
    const [newest] = await queries.events({ order: 'descending', limit: 1 })
    return newest?.index ?? -1
  }

  async function catchUp(): Promise<void> {
    if (reading) return
    reading = true
    try {
      while (unlisten && through < announced) {
        const stretch = await read(through, announced, {})
        for (const event of stretch.events) {
          if (event.type === 'IncidentPersonalDataErased')
            events = events.map((kept) => withoutText(kept, event))
          events.push(event)
        }
        through = stretch.through
        const surplus = events.splice(0, Math.max(0, events.length - capacity))
        since = surplus.at(-1)?.index ?? since
        onGrowth()
      }
    } catch {
      // The read model is away: `retry`, or the next announcement, goes on from here.
    } finally {
      reading = false
    }
  }

  async function read(after: number, upTo: number, filter: EventFilter): Promise<Stretch> {
    const page = await queries.events({ ...filter, order: 'ascending', after, limit: stretchLength })
    const shown = page.filter(({ index }) => index <= upTo)
    return { events: shown, through: page.length < stretchLength ? upTo : (shown.at(-1)?.index ?? upTo) }
  }

  return {
    through: () => through,
    after: async (index, filter) => {
      if (index >= through) return { events: [], through: index }
      if (index < since) return read(index, through, filter)
      const from = firstAfter(events, index)
      const stretch = events.slice(from, from + stretchLength)
      const reached = from + stretch.length === events.length ? through : (stretch.at(-1)?.index ?? through)
      return { events: stretch.filter((event) => matches(event, filter)), through: reached }
    },
    start,
    retry: () => void catchUp(),
    stop,
  }
}

/** An event that was kept, when what was personal in its incident is erased: from memory it must go as well. */
function withoutText(event: ListedEvent, erasure: ListedEvent): ListedEvent {
  if (event.incidentId !== erasure.incidentId) return event
  const data = { ...event.data }
  const fields = personalFields[event.type].filter((field) => Object.hasOwn(data, field))
  for (const field of fields) data[field] = null
  return { ...event, actor: { ...event.actor, name: null }, data, erased: [...fields, 'actor.name'] }
}

function matches({ incidentId, type }: ListedEvent, filter: EventFilter): boolean {
  return (
    (filter.incidentId === undefined || filter.incidentId === incidentId) &&
    (filter.type === undefined || filter.type === type)
  )
}

/** Where the first event with a greater index is; bisection. */
function firstAfter(events: readonly ListedEvent[], index: number): number {
  let low = 0
  let high = events.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((events[middle]?.index ?? 0) <= index) low = middle + 1
    else high = middle
  }
  return low
}
