import { END_OF_STREAM } from './events.ts'

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

/** Reads `$maxCount`, `$maxAge` and `$tb` out of a `$metadata` event; what is not understood limits nothing. */
export function parseRetention(data: Uint8Array): Retention {
  const metadata = parseObject(data)
  const truncateBefore = metadata.$tb
  return {
    maxCount: positiveInteger(metadata.$maxCount),
    maxAgeSeconds: positiveInteger(metadata.$maxAge),
    truncateBefore:
      typeof truncateBefore === 'number' && truncateBefore > 0
        ? Math.min(Math.floor(truncateBefore), END_OF_STREAM)
        : 0,
  }
}

/** The metadata that a soft delete writes: nothing before the end of time can be read. */
export const softDeleteMetadata = Buffer.from('{"$tb":9223372036854775807}')

/** The metadata of a soft-deleted stream that is written to again: it starts at `revision`, its other keys stay. */
export function recreateMetadata(data: Uint8Array, revision: number): Buffer {
  return Buffer.from(JSON.stringify({ ...parseObject(data), $tb: revision }))
}

function parseObject(data: Uint8Array): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(data).toString())
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {}
  } catch {
    return {}
  }
}

function positiveInteger(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : null
}
