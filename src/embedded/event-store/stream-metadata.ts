import { z } from 'zod'
import { END_OF_STREAM, type ProposedEvent } from './events.ts'

/** What of a stream's metadata decides which of its events can still be read. */
export interface Retention {
  readonly maxCount: number | null
  readonly maxAgeSeconds: number | null
  /** Events below this revision are gone; END_OF_STREAM means that the stream is soft-deleted. */
  readonly truncateBefore: number
}

export const keepEverything: Retention = { maxCount: null, maxAgeSeconds: null, truncateBefore: 0 }

/** A metastream keeps its newest event only, as EventStoreDB's does. */
export const keepNewest: Retention = { maxCount: 1, maxAgeSeconds: null, truncateBefore: 0 }

const MAX_INT64 = 2n ** 63n - 1n
/** .NET's longest time span. */
const MAX_SECONDS = 922_337_203_685n

const integer = z
  .bigint()
  .min(-MAX_INT64 - 1n)
  .max(MAX_INT64)
const seconds = integer.max(MAX_SECONDS)
const roles = z.union([z.string(), z.array(z.string())])
const knownKeys = z
  .object({
    $maxCount: integer,
    $maxAge: seconds,
    $tb: integer,
    $cacheControl: seconds,
    $tmp: z.boolean(),
    $acl: z.strictObject({ $r: roles, $w: roles, $d: roles, $mr: roles, $mw: roles }).partial(),
  })
  .partial()

/**
 * Reads `$maxCount`, `$maxAge` and `$tb` out of a metadata event. As in EventStoreDB's `StreamMetadata`, a key that it
 * knows and that holds something else (1.0 is no integer) makes all of the metadata limit nothing, and so does an event
 * that does not claim to be JSON.
 */
export function parseRetention({ isJson, data }: Pick<ProposedEvent, 'isJson' | 'data'>): Retention {
  if (!isJson) return keepEverything
  const { data: metadata } = knownKeys.safeParse(parseExactly(data))
  if (metadata === undefined) return keepEverything
  return {
    maxCount: positive(metadata.$maxCount),
    maxAgeSeconds: positive(metadata.$maxAge),
    truncateBefore: toRevision(metadata.$tb ?? 0n),
  }
}

/** The metadata that a soft delete writes: nothing before the end of time can be read. */
export const softDeleteMetadata = Buffer.from('{"$tb":9223372036854775807}')

/**
 * The metadata of a soft-deleted stream that is written to again: it starts at `revision`, its other keys stay. Undefined
 * when they are no JSON object, which EventStoreDB leaves as they are.
 */
export function recreateMetadata(data: Uint8Array, revision: number): Buffer | undefined {
  try {
    const metadata = z.looseObject({}).parse(JSON.parse(Buffer.from(data).toString()))
    return Buffer.from(JSON.stringify({ ...metadata, $tb: revision }))
  } catch {
    return undefined
  }
}

/** Parses JSON with its integers as they stand: the `$tb` of a soft-deleted stream is no JavaScript number. */
function parseExactly(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString(), toExactInteger)
  } catch {
    return undefined
  }
}

function toExactInteger(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source ?? ''
  return typeof value === 'number' && /^-?\d+$/.test(source) ? BigInt(source) : value
}

function positive(value: bigint | undefined): number | null {
  return value === undefined || value <= 0n ? null : Math.min(Number(value), Number.MAX_SAFE_INTEGER)
}

function toRevision(value: bigint): number {
  if (value === MAX_INT64) return END_OF_STREAM
  return value < 0n ? 0 : Math.min(Number(value), END_OF_STREAM - 1)
}
