import type { ServerDuplexStream, ServerReadableStream, sendUnaryData } from '@grpc/grpc-js'
import { status } from '@grpc/grpc-js'
import {
  type AppendRequest,
  type AppendTarget,
  type BatchAppendRequest,
  encodeAppendSuccess,
  encodeBatchAppendSuccess,
  MalformedRequest,
  type Proposal,
} from './append-messages.ts'
import type { EventLog, WriteOutcome } from './event-log.ts'
import type { ProposedEvent } from './events.ts'
import { createSender } from './message-runs.ts'
import {
  encodeBatchAppendRefusal,
  encodeWrongExpectedVersion,
  failure,
  MAX_APPEND_BYTES,
  type Refusal,
  toStatus,
} from './refusals.ts'
import { faultOfName } from './stream-names.ts'

/** Streams/Append: one append a call. */
export function answerAppend(
  log: EventLog,
  call: ServerReadableStream<AppendRequest, Buffer>,
  respond: sendUnaryData<Buffer>,
): void {
  let target: AppendTarget | undefined
  const proposals = collectProposals()
  call.on('data', (request: AppendRequest) => {
    if (request.kind === 'target') target = request.target
    if (request.kind === 'event') proposals.add(request.event)
  })
  call.on('error', () => proposals.clear())
  call.on('end', () => {
    if (!call.cancelled) void append(log, target, proposals).then(answer)
  })

  function answer(outcome: WriteOutcome | Refusal): void {
    if (outcome.kind === 'written') respond(null, encodeAppendSuccess(outcome.lastRevision, outcome.position))
    else if (outcome.kind === 'wrong-expected-version') respond(null, encodeWrongExpectedVersion(outcome))
    else respond(toStatus(outcome, target?.streamName ?? ''))
  }
}

/** How many appends of one batch stream may be begun and not yet finished. */
const MAX_OPEN_APPENDS = 1024

/** How many bytes they may hold together: sixteen appends of the greatest size. */
const MAX_OPEN_BYTES = 16 * MAX_APPEND_BYTES

/** An append of which not all has come. */
interface OpenAppend {
  readonly target: AppendTarget | undefined
  readonly proposals: Proposals
  /** Has run out before all had come, and so was answered. */
  isExpired: boolean
  expiry?: NodeJS.Timeout | undefined
}

/** The longest that a timer of Node's can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * Streams/BatchAppend: any number of appends a call, each in one or more messages, each answered exactly once, in
 * whatever order. A client that does not take its answers is not read from until it does.
 */
export function answerBatchAppend(
  log: EventLog,
  call: ServerDuplexStream<BatchAppendRequest, Buffer>,
  stopping: AbortSignal,
): void {
  const open = new Map<string, OpenAppend>()
  const over = new AbortController()
  const { send, flush } = createSender(call, over.signal)
  let openBytes = 0
  let unanswered = 0
  let isEnded = false

  function receive(request: BatchAppendRequest): void {
    const key = request.correlationId.toString('latin1')
    const begun = open.get(key) ?? {
      target: request.target,
      proposals: collectProposals(),
      isExpired: false,
    }
    if (open.delete(key)) openBytes -= begun.proposals.bytes()
    if (!begun.isExpired) for (const event of request.events) begun.proposals.add(event)
    if (!request.isFinal) {
      open.set(key, begun)
      openBytes += begun.proposals.bytes()
      begun.expiry ??= expireLater(begun, request.correlationId)
      if (open.size > MAX_OPEN_APPENDS || openBytes > MAX_OPEN_BYTES)
        end(status.RESOURCE_EXHAUSTED, 'too many appends are begun and not finished')
      return
    }
    clearTimeout(begun.expiry)
    if (begun.isExpired) return
    unanswered += 1
    void append(log, begun.target, begun.proposals).then((outcome) =>
      answer(request.correlationId, begun.target, outcome),
    )
  }

  /** What has not come when its deadline passes is answered then, and what comes of it later is passed over. */
  function expireLater(begun: OpenAppend, correlationId: Buffer): NodeJS.Timeout | undefined {
    const waitMs = (begun.target?.deadlineMs ?? Number.POSITIVE_INFINITY) - Date.now()
    if (waitMs > MAX_TIMER_MS) return undefined
    const expire = () => {
      if (over.signal.aborted || begun.isExpired) return
      begun.isExpired = true
      openBytes -= begun.proposals.bytes()
      begun.proposals.clear()
      unanswered += 1
      answer(correlationId, begun.target, { kind: 'deadline-passed' })
    }
    return setTimeout(expire, Math.max(0, waitMs)).unref()
  }

  function answer(
    correlationId: Buffer,
    target: AppendTarget | undefined,
    outcome: WriteOutcome | Refusal,
  ): void {
    unanswered -= 1
    if (over.signal.aborted) return
    const response =
      outcome.kind === 'written' && target !== undefined
        ? encodeBatchAppendSuccess(correlationId, target, outcome.lastRevision, outcome.position)
        : encodeBatchAppendRefusal(outcome.kind === 'written' ? noTarget : outcome, correlationId, target)
    const room = send(response)
    if (isEnded) finish()
    if (room === undefined || call.isPaused()) return
    call.pause()
    room.then(
      () => call.resume(),
      () => {},
    )
  }

  function finish(): void {
    if (unanswered > 0) return
    flush()
    call.end()
  }

  function end(code: status, details: string): void {
    stopping.removeEventListener('abort', onStopping)
    flush()
    over.abort()
    open.clear()
    call.emit('error', failure(code, details))
  }

  const onStopping = () => end(status.UNAVAILABLE, 'the node is stopping')
  stopping.addEventListener('abort', onStopping)
  call.on('data', receive)
  call.on('end', () => {
    stopping.removeEventListener('abort', onStopping)
    isEnded = true
    if (!over.signal.aborted) finish()
  })
  call.on('cancelled', () => {
    stopping.removeEventListener('abort', onStopping)
    over.abort()
    open.clear()
  })
}

const noTarget: Refusal = { kind: 'malformed', request: new MalformedRequest('the append has no options') }

const noExpectedRevision = new MalformedRequest('the append does not say what it expects of the stream')

async function append(
  log: EventLog,
  target: AppendTarget | undefined,
  proposals: Proposals,
): Promise<WriteOutcome | Refusal> {
  if (target === undefined) return noTarget
  const { streamName, expected, deadlineMs } = target
  const fault = faultOfName(streamName)
  if (fault !== undefined) return { kind: 'malformed', request: fault }
  if (expected === undefined) return { kind: 'malformed', request: noExpectedRevision }
  if (deadlineMs !== undefined && deadlineMs <= Date.now()) return { kind: 'deadline-passed' }
  const refusal = proposals.fault()
  if (refusal !== undefined) return refusal
  try {
    return await log.append(streamName, expected, proposals.events())
  } catch (error) {
    return {
      kind: 'refused',
      reason: 'storage',
      message: error instanceof Error ? error.message : String(error),
    }
  }
}

/** The events of one append as they come in. Once something is wrong with one, none is kept. */
interface Proposals {
  add(proposal: Proposal): void
  clear(): void
  /** What they hold, by the measure of the limit. */
  bytes(): number
  events(): readonly ProposedEvent[]
  fault(): Refusal | undefined
}

function collectProposals(): Proposals {
  let events: ProposedEvent[] = []
  let bytes = 0
  let fault: Refusal | undefined

  function refuse(refusal: Refusal): void {
    fault = refusal
    events = []
    bytes = 0
  }

  return {
    add(proposal) {
      if (fault !== undefined) return
      if (proposal instanceof MalformedRequest) return refuse({ kind: 'malformed', request: proposal })
      events.push(proposal)
      bytes += proposal.data.length + proposal.metadata.length + 2 * proposal.type.length
      if (bytes > MAX_APPEND_BYTES) refuse({ kind: 'too-big' })
    },
    clear() {
      events = []
      bytes = 0
    },
    bytes: () => bytes,
    events: () => events,
    fault: () => fault,
  }
}
