import type { ReadReq } from '@eventstore/db-client/generated/streams_pb.js'
import { END_OF_STREAM, type EventHead } from './events.ts'
import { compileLinearPattern } from './linear-pattern.ts'
import { PatternRefused } from './pattern-syntax.ts'
import type { UuidForm } from './read-messages.ts'

/** Where a read or a subscription begins: a position of $all, or a revision of a stream. */
export type StartingPoint = 'start' | 'end' | number

/** What a reader asks for. `streamName` is undefined for $all. */
export interface ReadRequest {
  readonly streamName: string | undefined
  readonly from: StartingPoint
  readonly backwards: boolean
  /** How many events at most; undefined for a subscription. */
  readonly maxCount: number | undefined
  readonly filter: EventFilter | undefined
  readonly resolveLinks: boolean
  readonly uuidForm: UuidForm
  /** Whether the reader understands messages that say where a stream begins and ends. */
  readonly wantsPositions: boolean
}

export interface EventFilter {
  matches(event: EventHead): boolean
  /** At the latest after this many events considered, a subscriber is told how far it has come. */
  readonly checkpointInterval: number
}

/** Raised on a request that asks for nothing one could read. */
export class UnreadableRequest extends Error {
  override readonly name = 'UnreadableRequest'
}

/** The server's search window where the reader names none; a checkpoint interval counts windows (`AllSubscriptionFiltered`). */
const DEFAULT_WINDOW_EVENTS = 32

/** @throws UnreadableRequest when a required option is missing or a regular expression is refused. */
export function parseReadRequest(request: ReadReq): ReadRequest {
  const options = request.getOptions()
  if (options === undefined) throw new UnreadableRequest('the request has no options')
  return {
    ...parseSource(options),
    backwards: options.getReadDirection() === 1,
    maxCount: options.hasSubscription() ? undefined : clamp(options.getCount()),
    filter: parseFilter(options.getFilter()),
    resolveLinks: options.getResolveLinks(),
    uuidForm: options.getUuidOption()?.hasStructured() === true ? 'structured' : 'string',
    wantsPositions: (options.getControlOption()?.getCompatibility() ?? 0) >= 1,
  }
}

function parseSource(options: ReadReq.Options): Pick<ReadRequest, 'streamName' | 'from'> {
  const all = options.getAll()
  if (all !== undefined) {
    const position = all.getPosition()?.getCommitPosition()
    return { streamName: undefined, from: parseStart(all.hasStart(), all.hasEnd(), position) }
  }
  const stream = options.getStream()
  const name = stream?.getStreamIdentifier()?.getStreamName_asU8()
  if (stream === undefined || name === undefined || name.length === 0) {
    throw new UnreadableRequest('the request names neither a stream nor $all')
  }
  return {
    streamName: Buffer.from(name).toString(),
    from: parseStart(stream.hasStart(), stream.hasEnd(), stream.getRevision()),
  }
}

function parseStart(isStart: boolean, isEnd: boolean, point: string | undefined): StartingPoint {
  if (isEnd) return 'end'
  return isStart || point === undefined ? 'start' : clamp(point)
}

/** An unsigned 64-bit number as it stands in a request; what no log will ever reach is the end. */
function clamp(digits: string): number {
  return Math.min(Number(digits), END_OF_STREAM)
}

function parseFilter(options: ReadReq.Options.FilterOptions | undefined): EventFilter | undefined {
  if (options === undefined) return undefined
  const byStream = options.getStreamIdentifier()
  const expression = byStream ?? options.getEventType()
  if (expression === undefined) throw new UnreadableRequest('the filter has no expression')
  const windows = options.getCheckpointintervalmultiplier()
  if (windows === 0) throw new UnreadableRequest("the filter's checkpoint interval is 0; the least is 1")
  const matchesText = parseExpression(expression)
  return {
    matches:
      byStream === undefined ? (event) => matchesText(event.type) : (event) => matchesText(event.streamName),
    checkpointInterval: windows * (options.hasMax() ? Math.max(1, options.getMax()) : DEFAULT_WINDOW_EVENTS),
  }
}

function parseExpression(expression: ReadReq.Options.FilterOptions.Expression): (text: string) => boolean {
  const source = expression.getRegex()
  const prefixes = expression.getPrefixList()
  if (source !== '') return compile(source)
  if (prefixes.length === 0)
    throw new UnreadableRequest('the filter has neither a prefix nor a regular expression')
  return (text) => prefixes.some((prefix) => text.startsWith(prefix))
}

function compile(source: string): (text: string) => boolean {
  try {
    return compileLinearPattern(source)
  } catch (cause) {
    if (cause instanceof PatternRefused) throw new UnreadableRequest(cause.message, { cause })
    throw cause
  }
}
