/** An event as a writer proposes it. `id` is a lower-case UUID with dashes; `data` and `metadata` may be empty. */
export interface ProposedEvent {
  readonly id: string
  readonly type: string
  readonly isJson: boolean
  readonly data: Uint8Array
  readonly metadata: Uint8Array
}

/** An event as the log keeps it. `position` is its place in the whole log (≥ 1), `revision` its place in its stream (≥ 0). */
export interface RecordedEvent extends ProposedEvent {
  readonly position: number
  readonly streamName: string
  readonly revision: number
  readonly createdMs: number
}

/** What a filter asks of an event. */
export type EventHead = Pick<RecordedEvent, 'position' | 'streamName' | 'type'>

/**
 * Stands for the protocol's 2^63 − 1, which no JavaScript number can hold: the revision of a tombstone, and the
 * `$tb` of a soft-deleted stream.
 */
export const END_OF_STREAM = Number.MAX_SAFE_INTEGER

/** The stream that holds another stream's metadata. */
export function metastreamOf(streamName: string): string {
  return `$$${streamName}`
}

/** The stream whose metadata a metastream holds, or undefined when the name is none of a metastream. */
export function describedBy(streamName: string): string | undefined {
  return streamName.startsWith('$$') ? streamName.slice(2) : undefined
}
