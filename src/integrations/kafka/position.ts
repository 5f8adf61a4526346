import type { Admin, Kafka, Message } from 'kafkajs'
import { z } from 'zod'
import type { Checkpoint } from '../../projections/checkpoint.ts'
import { extentsOf, readCommitted } from './committed.ts'

/** How far the publisher is: written in the transaction that writes the records, to the compacted topic of its own. */
export interface Position extends Checkpoint {
  /** Of incidents.events and incidents.state when it was written: a record's partition depends on how many there are. */
  readonly partitions: { readonly events: number; readonly state: number }
}

const key = 'position'
/** Each position is followed by its transaction's marker, and all but the last may be compacted away. */
const firstWindow = 64n
const windowGrowth = 64n

const decimal = z.string().regex(/^\d+$/).transform(BigInt)
/** Of the value. These words are what /asyncapi.json shows. */
export const positionValue = z.object({
  index: z.int().min(-1),
  partitions: z.object({ events: z.int().positive(), state: z.int().positive() }),
  last: z.object({ commit: decimal, prepare: decimal, eventId: z.uuid() }).nullable(),
})

export function positionMessage({ index, position, eventId, partitions }: Position): Message {
  const last = position && {
    commit: String(position.commit),
    prepare: String(position.prepare),
    eventId,
  }
  return { key, value: JSON.stringify({ index, partitions, last: last ?? null }) }
}

/**
 * The last committed position and the offset after everything in its topic; only the end of the topic is read.
 *
 * @param undecided whether there may be a transaction that is neither committed nor aborted. Once the producer is fenced there
 *   can be none of ours: a position that is overlooked, and committed later, would repeat what it covers.
 * @throws Error where what is there is none of ours, or is undecided and may not be.
 */
export async function readPosition(
  kafka: Kafka,
  admin: Admin,
  topic: string,
  { undecided }: { readonly undecided: 'allowed' | 'refused' },
): Promise<{ readonly position: Position | undefined; readonly end: bigint }> {
  const [extent = { partition: 0, low: 0n, end: 0n }] = await extentsOf(admin, topic)
  const { partition, low: first, end } = extent
  for (let window = firstWindow; ; window *= windowGrowth) {
    const reached = end - window <= first
    const low = reached ? first : end - window
    let value: string | undefined
    const last = await readCommitted(
      { kafka, admin, topic, extents: [{ partition, low, end }] },
      (message) => {
        if (message.key?.toString() === key) value = message.value?.toString()
        return 'more'
      },
    )
    if (last > end && undecided === 'refused') {
      throw new Error(
        `${topic} has a transaction that is neither committed nor aborted: nothing is published until Kafka has decided it`,
      )
    }
    if (value !== undefined) return { position: parse(value, topic), end }
    if (reached) return { position: undefined, end }
  }
}

function parse(value: string, topic: string): Position {
  let json: unknown
  try {
    json = JSON.parse(value)
  } catch {
    json = undefined
  }
  const { success, data } = positionValue.safeParse(json)
  if (!success) throw new Error(`the last record of ${topic} is no position of this publisher`)
  const { index, partitions, last } = data
  if (last === null) return { index, partitions }
  const { commit, prepare, eventId } = last
  return { index, partitions, position: { commit, prepare }, eventId }
}
