import * as fc from 'fast-check'
import type { Expected } from './event-store-model.ts'

const stream = fc.constantFrom('a', 'b', 'ж')
const expected = fc.oneof(
  fc.constantFrom<Expected>('any', 'any', 'no_stream', 'stream_exists'),
  fc.nat(5).map((revision): Expected => revision),
)
/** What the client can say of a stream that is to be deleted. */
const plainlyExpected = fc.oneof(fc.constantFrom('any' as const, 'no_stream' as const), fc.nat(5))
const call = fc.constantFrom('unary' as const, 'batch' as const)
/** Few ids, so that many a write repeats another, in whole, in part, or in another stream. */
const event = fc.record({ id: fc.nat(9), type: fc.constantFrom('Opened', 'Closed') })
const link = fc.record({ id: fc.nat(9), to: stream, revision: fc.nat(4) })
const metadata = fc.oneof(
  fc.record(
    {
      $maxCount: fc.integer({ min: 1, max: 3 }),
      $tb: fc.nat(5),
      $cacheControl: fc.constant(10),
      $acl: fc.constant({ $r: ['$all'], $w: 'ops' }),
      colour: fc.constantFrom('red', 'blue'),
    },
    { requiredKeys: [] },
  ),
  fc.constant({ $maxCount: 'many', $tb: 2 }),
)
const from = fc.oneof(fc.constantFrom('start' as const, 'end' as const), fc.nat(6))
const reading = fc.record({
  backwards: fc.boolean(),
  from,
  maxCount: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constant(1000)),
  resolveLinks: fc.boolean(),
})
const filter = fc.constantFrom(
  'every stream' as const,
  'stream prefix' as const,
  'stream pattern' as const,
  'type prefix' as const,
  'type pattern' as const,
)

/** What may be done next; which ids, streams and places are meant is for the run to say. */
export const operation = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      stream,
      expected,
      call,
      events: fc.array(event, { maxLength: 3 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('repeat' as const), which: fc.nat(3), call }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('link' as const), stream, link }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('set metadata' as const), stream, expected, call, metadata }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('delete' as const),
      stream,
      expected: plainlyExpected,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('tombstone' as const), stream, expected: plainlyExpected }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('read stream' as const),
      stream,
      ofMetadata: fc.boolean(),
      reading,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('get metadata' as const), stream }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('read $all' as const),
      backwards: fc.boolean(),
      after: fc.option(fc.nat(20), { nil: undefined }),
      maxCount: fc.integer({ min: 1, max: 40 }),
      resolveLinks: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('follow stream' as const),
      stream,
      from: fc.oneof(fc.constant('start' as const), fc.nat(6)),
      resolveLinks: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('follow $all' as const),
      filter,
      after: fc.option(fc.nat(20), { nil: undefined }),
      resolveLinks: fc.boolean(),
    }),
  },
)
type Generated<Arbitrary> = Arbitrary extends fc.Arbitrary<infer Value> ? Value : never
export type Operation = Generated<typeof operation>
export type FilterKind = Generated<typeof filter>
