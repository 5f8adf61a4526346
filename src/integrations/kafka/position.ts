import type { Admin, Kafka, Message } from 'kafkajs'
import { z } from 'zod'
import type { Checkpoint } from '../../projections/checkpoint.ts'
import { extentsOf, lastCommitted } from './records.ts'

/** How far the publisher is: written in the transaction that writes the records, to the compacted topic of its own. */
export interface Position extends Checkpoint {
  /** Of incidents.events and incidents.state when it was written: a record's partition depends on how many there are. */
  readonly partitions: { readonly events: number; readonly state: number }
  /** After a republication: the events up to this index were in incidents.events before, and may be there twice. */
  readonly repeatedTo?: number | undefined
}

const key = 'position'
/** The topic has one. */
const partition = 0

const decimal = z.string().regex(/^\d+$/).transform(BigInt)
/** Of the value. These words are what /asyncapi.json shows. */
export const positionValue = z.object({
  index: z.int().min(-1),
  partitions: z.object({ events: z.int().positive(), state: z.int().positive() }),
  repeatedTo: z.int().min(0).optional(),
  last: z.object({ commit: decimal, prepare: decimal, eventId: z.uuid() }).nullable(),
})

export function positionMessage({ index, position, eventId, partitions, repeatedTo }: Position): Message {
  const last = position && {
    commit: String(position.commit),
    prepare: String(position.prepare),
    eventId,
  }
  return { key, value: JSON.stringify({ index, partitions, repeatedTo, last: last ?? null }) }
}

/**
 * The last committed position and the offset after everything that is committed in its topic.
 *
 * @throws Error where what is there is none of ours.
 */
export async function readPosition(
  kafka: Kafka,
  admin: Admin,
  topic: string,
): Promise<{ readonly position: Position | undefined; readonly end: bigint }> {
  const extents = await extentsOf(admin, topic)
  const last = await lastCommitted({ kafka, admin, topic, extents }, (message) =>
    message.key?.toString() === key ? message.value?.toString() : undefined,
  )
  const value = last.get(partition)
  const end = extents.find((extent) => extent.partition === partition)?.end ?? 0n
  if (value === undefined) return { position: undefined, end }
  const position = parsePosition(value)
  if (position === undefined) throw new Error(`the last record of ${topic} is no position of this publisher`)
  return { position, end }
}

/** Undefined: the value of the record is no position. */
export function parsePosition(value: string): Position | undefined {
  let json: unknown
  try {
    json = JSON.parse(value)
  } catch {
    return undefined
  }
  const { data } = positionValue.safeParse(json)
  if (data === undefined) return undefined
  const { last, ...position } = data
  if (last === null) return position
  const { commit, prepare, eventId } = last
  return { ...position, position: { commit, prepare }, eventId }
}
