/** Random operations through the official client, every answer compared with a plain model's, on whichever event store there is. */
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import {
  type AllStreamSubscription,
  BACKWARDS,
  binaryEvent,
  type DeleteResult,
  type EventData,
  EventStoreDBClient,
  eventTypeFilter,
  FORWARDS,
  jsonEvent,
  type Position,
  type ResolvedEvent,
  START,
  StreamDeletedError,
  StreamNotFoundError,
  type StreamSubscription,
  streamNameFilter,
  WrongExpectedVersionError,
} from '@eventstore/db-client'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestEventStore, type TestEventStore } from '../../support/event-store.ts'
import { isMissing, service } from '../../support/services.ts'
import {
  type Answer,
  createModel,
  type Expected,
  type Found,
  type Model,
  type NewEvent,
} from './event-store-model.ts'
import { type FilterKind, type Operation, operation } from './event-store-operations.ts'

let store: TestEventStore
let client: EventStoreDBClient

beforeAll(async () => {
  if (isMissing('event store')) return
  store = await startTestEventStore()
  client = EventStoreDBClient.connectionString(store.url)
})

afterAll(async () => {
  await client?.dispose()
  await store?.close()
})

test.skipIf(isMissing('event store'))('every answer is the one that the model gives', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { minLength: 5, maxLength: 60, size: 'max' }),
      async (operations) => {
        const run = createRun()
        for (const each of operations) await run.perform(each)
      },
    ),
    { numRuns: 60 },
  )
})

function createRun() {
  const isOurs = service('event store').from === 'embedded'
  const model: Model = createModel({ erases: isOurs })
  const prefix = `model-${crypto.randomUUID()}`
  const ids = Array.from({ length: 10 }, () => crypto.randomUUID())
  /** The positions that were answered, oldest first, and the events they are of. */
  const positions: { readonly position: Position; readonly order: number }[] = []
  const appends: Parameters<typeof append>[] = []
  const nameOf = (suffix: string) => `${prefix}-${suffix}`
  const idOf = (index: number) => ids[index] ?? ''

  async function write(
    answer: Promise<{ position?: Position; nextExpectedRevision?: bigint }>,
    told: Answer,
  ) {
    const outcome = await answer.catch((error: unknown) => error)
    if (told.kind === 'deleted') return expect(outcome).toBeInstanceOf(StreamDeletedError)
    if (told.kind === 'wrong') {
      expect(outcome).toBeInstanceOf(WrongExpectedVersionError)
      return expect(outcome).toMatchObject({
        actualVersion: told.actual === 'no_stream' ? 'no_stream' : BigInt(told.actual),
      })
    }
    expect(outcome).not.toBeInstanceOf(Error)
    return outcome
  }

  async function append(name: string, expects: Expected, by: 'unary' | 'batch', events: readonly NewEvent[]) {
    appends.push([name, expects, by, events])
    const told = model.append(name, expects, events)
    const answer = client.appendToStream(name, events.map(toEventData), {
      expectedRevision: toRevision(expects),
      ...(by === 'unary' ? { credentials: { username: 'admin', password: 'changeit' } } : {}),
    })
    const outcome = await write(answer, told)
    if (told.kind !== 'written') return
    // The client gives 0 where there is no revision.
    expect(outcome).toMatchObject({
      success: true,
      nextExpectedRevision: BigInt(Math.max(told.lastRevision, 0)),
    })
    if (events.length === 0) return
    const { position } = (await answer) ?? {}
    expect(position !== undefined, 'whether a position is told').toBe(told.last !== undefined)
    if (position !== undefined && told.last !== undefined) note(position, told.last.order)
  }

  async function remove(answer: Promise<DeleteResult>, told: Answer): Promise<void> {
    await write(answer, told)
    if (told.kind !== 'written' || told.last === undefined) return
    const { position } = await answer
    expect(position).toBeDefined()
    if (position !== undefined) note(position, told.last.order)
  }

  /** An event keeps its position, and of two events the later has the greater. */
  function note(position: Position, order: number): void {
    for (const known of positions) {
      const [before, after] = known.order < order ? [known.position, position] : [position, known.position]
      if (known.order === order) expect(position).toEqual(known.position)
      else expect(before.commit).toBeLessThan(after.commit)
    }
    if (!positions.some((known) => known.order === order)) positions.push({ position, order })
  }

  function someEarlierEvent(index: number | undefined) {
    return positions.length === 0 || index === undefined ? undefined : positions.at(index % positions.length)
  }

  async function readStream(name: string, reading: Parameters<Model['readStream']>[1]) {
    const told = model.readStream(name, reading)
    // EventStoreDB takes -1 for where to begin, and fails.
    if (!isOurs && !reading.backwards && reading.from === 'end') return
    const events = client.readStream(name, {
      direction: reading.backwards ? BACKWARDS : FORWARDS,
      fromRevision: typeof reading.from === 'number' ? BigInt(reading.from) : reading.from,
      maxCount: reading.maxCount,
      resolveLinkTos: reading.resolveLinks,
    })
    const outcome = await Array.fromAsync(events).catch((error: unknown) => error)
    if (told === 'deleted') expect(outcome).toBeInstanceOf(StreamDeletedError)
    else if (told === 'missing') expect(outcome).toBeInstanceOf(StreamNotFoundError)
    else expect(describeAll(outcome)).toEqual(told.map(describeFound))
  }

  async function readAll(operation: Operation & { do: 'read $all' }) {
    const since = someEarlierEvent(operation.after)
    const told = model.readAll(operation.resolveLinks).filter((found) => {
      if (since === undefined) return true
      return operation.backwards ? orderOf(found) < since.order : orderOf(found) >= since.order
    })
    // In a store that is not ours alone, others' events would count.
    const maxCount = isOurs && since !== undefined ? operation.maxCount : Number.MAX_SAFE_INTEGER
    const events = await Array.fromAsync(
      client.readAll({
        direction: operation.backwards ? BACKWARDS : FORWARDS,
        fromPosition: since?.position ?? (operation.backwards ? 'end' : START),
        resolveLinkTos: operation.resolveLinks,
        maxCount,
      }),
    )
    const inOrder = operation.backwards ? told.toReversed() : told
    expect(describeAll(events.filter(isOwn))).toEqual(inOrder.slice(0, maxCount).map(describeFound))
    const places = events.map(({ commitPosition = 0n }) => commitPosition)
    expect(places).toEqual(places.toSorted((a, b) => (a < b === operation.backwards ? 1 : -1)))
  }

  function orderOf({ event, link }: Found): number {
    return (link ?? event)?.order ?? 0
  }

  function isOwn({ event, link }: ResolvedEvent): boolean {
    return (link ?? event)?.streamId.includes(prefix) === true
  }

  async function followStream(operation: Operation & { do: 'follow stream' }) {
    const name = nameOf(operation.stream)
    const begin = operation.from === 'start' ? 0 : operation.from + 1
    const told = model.readStream(name, {
      backwards: false,
      from: begin,
      maxCount: 1000,
      resolveLinks: operation.resolveLinks,
    })
    const subscription = client.subscribeToStream(name, {
      fromRevision: operation.from === 'start' ? START : BigInt(operation.from),
      resolveLinkTos: operation.resolveLinks,
    })
    const outcome = await untilCaughtUp(subscription)
    if (told === 'deleted') expect(outcome).toBeInstanceOf(StreamDeletedError)
    else expect(describeAll(outcome)).toEqual(told === 'missing' ? [] : told.map(describeFound))
  }

  async function followAll(operation: Operation & { do: 'follow $all' }) {
    const since = someEarlierEvent(operation.after)
    const { filter, matches } = filterOf(operation.filter)
    const told = model.readAll(operation.resolveLinks).filter((found) => {
      const original = found.link ?? found.event
      return original !== undefined && original.order > (since?.order ?? -1) && matches(original)
    })
    const subscription = client.subscribeToAll({
      fromPosition: since?.position ?? START,
      resolveLinkTos: operation.resolveLinks,
      ...(filter === undefined ? {} : { filter }),
    })
    const outcome = await untilCaughtUp(subscription)
    expect(Array.isArray(outcome)).toBe(true)
    expect(describeAll(Array.isArray(outcome) ? outcome.filter(isOwn) : outcome)).toEqual(
      told.map(describeFound),
    )
  }

  function filterOf(kind: FilterKind) {
    const ofStream = (test: (name: string) => boolean) => (one: { stream: string }) => test(one.stream)
    const ofType = (test: (type: string) => boolean) => (one: { type: string }) => test(one.type)
    switch (kind) {
      case 'every stream':
        return { filter: undefined, matches: () => true }
      case 'stream prefix':
        return {
          filter: streamNameFilter({ prefixes: [nameOf('a'), nameOf('ж')] }),
          matches: ofStream((name) => name.startsWith(nameOf('a')) || name.startsWith(nameOf('ж'))),
        }
      case 'stream pattern':
        return {
          filter: streamNameFilter({ regex: `^(\\$\\$)?${prefix}-[^a]$`, maxSearchWindow: 8 }),
          matches: ofStream((name) => !name.endsWith('a')),
        }
      case 'type prefix':
        return {
          filter: eventTypeFilter({ prefixes: ['Op', '$m'] }),
          matches: ofType((type) => /^(Op|\$m)/.test(type)),
        }
      case 'type pattern':
        return {
          filter: eventTypeFilter({ regex: '^[^$].*ed$' }),
          matches: ofType((type) => /^[^$].*ed$/.test(type)),
        }
    }
  }

  async function perform(operation: Operation): Promise<void> {
    switch (operation.do) {
      case 'append':
        return append(
          nameOf(operation.stream),
          operation.expected,
          operation.call,
          operation.events.map(({ id, type }) => ({ id: idOf(id), type, data: `{"id":${id}}` })),
        )
      case 'repeat': {
        const [name, expects, , events] = appends.at(-1 - operation.which) ?? []
        return name === undefined || expects === undefined || events === undefined
          ? undefined
          : append(name, expects, operation.call, events)
      }
      case 'link': {
        const { id, to, revision } = operation.link
        const data = `${revision}@${nameOf(to)}`
        return append(nameOf(operation.stream), 'any', 'batch', [{ id: idOf(id), type: '$>', data }])
      }
      case 'set metadata': {
        const data = JSON.stringify(operation.metadata)
        const change = { id: crypto.randomUUID(), type: '$metadata', data }
        return append(`$$${nameOf(operation.stream)}`, operation.expected, operation.call, [change])
      }
      case 'delete': {
        const name = nameOf(operation.stream)
        const told = model.delete(name, operation.expected)
        return remove(client.deleteStream(name, { expectedRevision: toRevision(operation.expected) }), told)
      }
      case 'tombstone': {
        const name = nameOf(operation.stream)
        const told = model.tombstone(name, operation.expected)
        return remove(
          client.tombstoneStream(name, { expectedRevision: toRevision(operation.expected) }),
          told,
        )
      }
      case 'read stream': {
        const name = nameOf(operation.stream)
        return readStream(operation.ofMetadata ? `$$${name}` : name, operation.reading)
      }
      case 'get metadata': {
        const told = model.metadata(nameOf(operation.stream))
        const outcome = await client
          .getStreamMetadata(nameOf(operation.stream))
          .catch((error: unknown) => error)
        if (told === 'deleted') expect(outcome).toBeInstanceOf(StreamDeletedError)
        else if (told === undefined) expect(outcome).not.toHaveProperty('metadata')
        else expect(outcome).toMatchObject({ metadata: asClient(JSON.parse(told)) })
        return
      }
      case 'read $all':
        return readAll(operation)
      case 'follow stream':
        return followStream(operation)
      case 'follow $all':
        return followAll(operation)
    }
  }

  return { perform }
}

function toRevision<Named extends string>(expected: Named | number): Named | bigint {
  return typeof expected === 'number' ? BigInt(expected) : expected
}

function toEventData({ id, type, data }: NewEvent): EventData {
  if (type === '$>') return binaryEvent({ id, type, data: new Uint8Array(Buffer.from(data)) })
  return jsonEvent({ id, type, data: JSON.parse(data) })
}

/** The names that the client gives to the keys that it knows. */
function asClient(metadata: Record<string, unknown>): Record<string, unknown> {
  const names: Record<string, string> = {
    $maxCount: 'maxCount',
    $tb: 'truncateBefore',
    $cacheControl: 'cacheControl',
  }
  return Object.fromEntries(
    Object.entries(metadata).map(([key, value]) =>
      key === '$acl' ? ['acl', { readRoles: ['$all'], writeRoles: 'ops' }] : [names[key] ?? key, value],
    ),
  )
}

/** What a subscription sends until it has caught up, or the error that ends it. */
async function untilCaughtUp(subscription: AllStreamSubscription | StreamSubscription): Promise<unknown> {
  const events: ResolvedEvent[] = []
  subscription.on('data', (resolved: ResolvedEvent) => void events.push(resolved))
  try {
    await once(subscription, 'caughtUp')
    await setImmediate()
    return events
  } catch (error) {
    return error
  } finally {
    await subscription.unsubscribe()
  }
}

function describeAll(outcome: unknown): unknown {
  if (!Array.isArray(outcome)) return outcome
  const describe = (one: ResolvedEvent['event']) =>
    one && [one.streamId, one.revision, one.type, one.type.startsWith('$') ? '' : one.id]
  return outcome.map(({ event, link }: ResolvedEvent) => ({ event: describe(event), link: describe(link) }))
}

const tombstoneRevision = 2n ** 63n - 1n

function describeFound({ event, link }: Found): unknown {
  const describe = (one: Found['event']) => {
    if (one === undefined) return undefined
    const revision = one.revision === Number.POSITIVE_INFINITY ? tombstoneRevision : BigInt(one.revision)
    // The store gives its own events ids of its own.
    return [one.stream, revision, one.type, one.type.startsWith('$') ? '' : one.id]
  }
  return { event: describe(event), link: describe(link) }
}
