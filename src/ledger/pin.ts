import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { incidentId, instant, limits, type Refusal, status } from '../aggregates/incident/index.ts'
import { append } from './append.ts'
import { LedgerError } from './errors.ts'
import type { EventStore } from './event-store.ts'
import { requestStream } from './streams.ts'

/**
 * What a request was decided to mean, kept for its repetitions in a stream of its own, before anything is appended to an
 * incident. The last pin of the stream counts: one that can no longer come true (the target has moved on without it) is
 * followed by another decision.
 */
export type Pin = z.output<typeof pin>

const refusal = z.discriminatedUnion('code', [
  z.object({ code: z.literal('incident-not-found') }),
  z.object({ code: z.literal('incident-exists') }),
  z.object({
    code: z.literal('illegal-transition'),
    from: status,
    to: status,
    allowed: z.array(status).readonly(),
  }),
  z.object({ code: z.literal('incident-closed') }),
  z.object({ code: z.literal('incident-full'), limit: z.int() }),
  z.object({ code: z.literal('too-many-labels'), limit: z.int() }),
  z.object({ code: z.literal('occurred-in-future'), latest: instant }),
]) satisfies z.ZodType<Refusal>

const pin = z.object({
  target: incidentId,
  /** The target's revision at the decision; −1 where it did not exist. */
  revision: z.int().min(-1).max(limits.eventsPerIncident),
  requestHash: z.string(),
  /** Final: nothing is to be appended to the target. Absent: the request is to be done at `revision`, under its mark. */
  answer: z
    .discriminatedUnion('outcome', [
      z.object({ outcome: z.literal(['joined', 'unchanged']) }),
      z.object({ outcome: z.literal('refused'), refusal }),
    ])
    .optional(),
})

export interface PinBoard {
  /** The last pin of the request and its place, or place −1. Throws `event-store-unavailable`, `history-unreadable`. */
  readonly last: (id: string) => Promise<{ readonly pin?: Pin; readonly place: number }>
  /** Pins after `place`; false where another pin got there first. Throws `outcome-unknown`, `event-store-unavailable`. */
  readonly add: (id: string, place: number, pin: Pin, until: number) => Promise<boolean>
}

const pinType = 'RequestPinned'
const schemaVersion = 1
/** A request is pinned anew only when its target moved on between the pin and the append: a few times at the most. */
const mostPins = 1_000

export function openPinBoard(store: EventStore, readTimeoutMs: number): PinBoard {
  return {
    last: async (id) => {
      const stream = requestStream(id)
      const pins = await store.readStream(stream, { maxCount: mostPins }, readTimeoutMs)
      const last = pins.at(-1)
      if (!last) return { place: -1 }
      const read = pin.safeParse(last.data)
      if (!read.success)
        throw new LedgerError({ code: 'history-unreadable', stream, revision: last.revision })
      return { pin: read.data, place: last.revision }
    },
    add: async (id, place, data, until) => {
      const event = { id: randomUUID(), type: pinType, data, metadata: { schemaVersion } }
      const appended = await append(store, requestStream(id), [event], place, until)
      return appended !== 'conflict'
    },
  }
}
