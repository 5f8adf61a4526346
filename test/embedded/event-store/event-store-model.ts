/** EventStoreDB's rules in plain words: everything in one list, nothing fast, nothing shared with the node. */

export type Expected = 'any' | 'no_stream' | 'stream_exists' | number

export interface ModelEvent {
  /** Its place among all events, from 0. */
  readonly order: number
  readonly stream: string
  /** Infinity for a tombstone. */
  readonly revision: number
  readonly id: string
  readonly type: string
  readonly data: string
}

export type NewEvent = Pick<ModelEvent, 'id' | 'type' | 'data'>

export type Answer =
  | { readonly kind: 'written'; readonly lastRevision: number; readonly last: ModelEvent | undefined }
  | { readonly kind: 'wrong'; readonly actual: number | 'no_stream' }
  | { readonly kind: 'deleted' }

export interface Found {
  readonly event: ModelEvent | undefined
  readonly link: ModelEvent | undefined
}

export interface Reading {
  readonly backwards: boolean
  readonly from: number | 'start' | 'end'
  readonly maxCount: number
  readonly resolveLinks: boolean
}

export type Model = ReturnType<typeof createModel>

const forEver = 9223372036854775807n
const noLimits = { maxCount: Number.POSITIVE_INFINITY, truncateBefore: 0, softDeleted: false }

/** @param erases whether what can no longer be read is gone from $all and for good, as in our node, or only hidden until a scavenge. */
export function createModel({ erases }: { readonly erases: boolean }) {
  const log: ModelEvent[] = []
  const tombstoned = new Set<string>()
  /** Where each event id was written last, in whichever stream. */
  const places = new Map<string, ModelEvent>()
  const erasedBelow = new Map<string, number>()

  const lastRevision = (stream: string) =>
    log.findLast((event) => event.stream === stream && event.revision < Number.POSITIVE_INFINITY)?.revision ??
    -1

  const isDeleted = (stream: string) =>
    tombstoned.has(stream) || (stream.startsWith('$$') && tombstoned.has(stream.slice(2)))

  const isErased = ({ stream, revision }: ModelEvent) => revision < (erasedBelow.get(stream) ?? 0)

  function limits(stream: string): typeof noLimits {
    if (stream.startsWith('$$')) return { ...noLimits, maxCount: 1 }
    const data = newestMetadata(stream)?.data ?? '{}'
    const whole = /"\$tb":(\d+)/.exec(data)?.[1] ?? '0'
    const { $maxCount = noLimits.maxCount } = JSON.parse(data)
    if (typeof $maxCount !== 'number') return noLimits
    return { maxCount: $maxCount, truncateBefore: Number(whole), softDeleted: BigInt(whole) === forEver }
  }

  function newestMetadata(stream: string): ModelEvent | undefined {
    return log.findLast((event) => event.stream === `$$${stream}`)
  }

  function firstReadable(stream: string): number {
    const { maxCount, truncateBefore } = limits(stream)
    return Math.max(erasedBelow.get(stream) ?? 0, lastRevision(stream) + 1 - maxCount, truncateBefore, 0)
  }

  function judge(stream: string, expected: Expected, ids: readonly string[]): Answer | 'write' {
    const last = lastRevision(stream)
    const wrong: Answer = { kind: 'wrong', actual: last < 0 ? 'no_stream' : last }
    if (isDeleted(stream)) return { kind: 'deleted' }
    if (expected === 'stream_exists') {
      if (limits(stream).softDeleted) return { kind: 'deleted' }
      if (last < 0 && newestMetadata(stream) === undefined) return wrong
    }
    if (expected === 'any' || expected === 'stream_exists') {
      const known = ids
        .map((id) => places.get(id))
        .map((place) => (place?.stream === stream ? place : undefined))
      if (known[0] === undefined) return 'write'
      return known.includes(undefined) ? wrong : repeated(known.at(-1))
    }
    const at = expected === 'no_stream' ? -1 : expected
    if (at === last) return 'write'
    if (at > last || ids.length === 0) return wrong
    const there = ids.map((id, index) => eventAt(stream, at + 1 + index, id))
    if (!there.includes(undefined)) return repeated(there.at(-1))
    return there[0] === undefined && expected === 'no_stream' && limits(stream).softDeleted ? 'write' : wrong
  }

  function eventAt(stream: string, revision: number, id: string): ModelEvent | undefined {
    const place = places.get(id)
    if (place?.stream === stream && place.revision === revision) return place
    return log.find(
      (event) =>
        event.stream === stream && event.revision === revision && event.id === id && !isErased(event),
    )
  }

  function repeated(last: ModelEvent | undefined): Answer {
    const isReadable = last !== undefined && last.revision >= firstReadable(last.stream)
    return { kind: 'written', lastRevision: last?.revision ?? -1, last: isReadable ? last : undefined }
  }

  function put(stream: string, event: NewEvent, revision = lastRevision(stream) + 1): ModelEvent {
    const stored = { ...event, order: log.length, stream, revision }
    log.push(stored)
    places.set(event.id, stored)
    return stored
  }

  function erase(): void {
    if (!erases) return
    for (const stream of new Set(log.map((event) => event.stream))) {
      const first = tombstoned.has(stream) ? Number.POSITIVE_INFINITY : firstReadable(stream)
      erasedBelow.set(
        stream,
        Math.min(first, Math.max(lastRevision(stream) + 1, erasedBelow.get(stream) ?? 0)),
      )
    }
  }

  function putMetadata(stream: string, data: string): ModelEvent {
    return put(`$$${stream}`, { id: crypto.randomUUID(), type: '$metadata', data })
  }

  function find(event: ModelEvent, resolveLinks: boolean): Found {
    if (!resolveLinks || event.type !== '$>') return { event, link: undefined }
    const [digits, stream = ''] = event.data.split('@')
    const target = log.find((one) => one.stream === stream && one.revision === Number(digits))
    const isReadable =
      target !== undefined &&
      !isDeleted(stream) &&
      !limits(stream).softDeleted &&
      target.revision >= firstReadable(stream)
    return { event: isReadable ? target : undefined, link: event }
  }

  return {
    append(stream: string, expected: Expected, events: readonly NewEvent[]): Answer {
      const verdict = judge(
        stream,
        expected,
        events.map(({ id }) => id),
      )
      if (verdict !== 'write') return verdict
      const revived = stream.startsWith('$$') ? stream.slice(2) : stream
      const wasSoftDeleted = limits(revived).softDeleted
      const startsAt = lastRevision(revived) + 1
      const last = events.map((event) => put(stream, event)).at(-1)
      if (wasSoftDeleted) {
        const metadata = JSON.parse(newestMetadata(revived)?.data ?? '{}')
        putMetadata(revived, JSON.stringify({ ...metadata, $tb: startsAt }))
      }
      erase()
      return { kind: 'written', lastRevision: last?.revision ?? lastRevision(stream), last }
    },

    delete(stream: string, expected: Expected): Answer {
      const verdict = judge(stream, expected, [crypto.randomUUID()])
      if (verdict !== 'write') return verdict
      if (lastRevision(stream) < 0 && newestMetadata(stream) === undefined)
        return { kind: 'wrong', actual: 'no_stream' }
      const last = putMetadata(stream, `{"$tb":${forEver}}`)
      erase()
      return { kind: 'written', lastRevision: last.revision, last }
    },

    tombstone(stream: string, expected: Expected): Answer {
      const verdict = judge(stream, expected, [crypto.randomUUID()])
      if (verdict !== 'write') return verdict
      const tombstone = { id: crypto.randomUUID(), type: '$streamDeleted', data: '' }
      const last = put(stream, tombstone, Number.POSITIVE_INFINITY)
      tombstoned.add(stream)
      erase()
      return { kind: 'written', lastRevision: last.revision, last }
    },

    readStream(
      stream: string,
      { backwards, from, maxCount, resolveLinks }: Reading,
    ): readonly Found[] | 'missing' | 'deleted' {
      if (isDeleted(stream)) return 'deleted'
      const last = lastRevision(stream)
      if (last < 0 || limits(stream).softDeleted) return 'missing'
      const start = from === 'start' ? 0 : from === 'end' ? (backwards ? last : last + 1) : from
      const readable = log.filter(
        (event) => event.stream === stream && event.revision >= firstReadable(stream),
      )
      const wanted = backwards
        ? readable.toReversed().filter((event) => event.revision <= start)
        : readable.filter((event) => event.revision >= start)
      return wanted.slice(0, maxCount).map((event) => find(event, resolveLinks))
    },

    /** Everything in $all, oldest first. */
    readAll(resolveLinks = false): readonly Found[] {
      return log.filter((event) => !isErased(event)).map((event) => find(event, resolveLinks))
    },

    metadata(stream: string): string | undefined | 'deleted' {
      return tombstoned.has(stream) ? 'deleted' : newestMetadata(stream)?.data
    },
  }
}
