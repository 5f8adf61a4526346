import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import type { RawEvent } from '../../../src/ledger/copy/raw-store.ts'
import { openSurvey } from '../../../src/ledger/copy/survey.ts'

const { signal } = new AbortController()

/** $all as EventStoreDB shows it before a scavenge: with all that was deleted, and the events that say so. */
function openAll() {
  const all: RawEvent[] = []
  const add = (stream: string, type = 'OfATest', data: string = '{}') => {
    const revision = all.filter((event) => event.stream === stream).length
    const position = { commit: BigInt(all.length), prepare: BigInt(all.length) }
    const event = { id: randomUUID(), stream, revision, position, type, contentType: 'application/json' }
    const stored = { ...event, data: Buffer.from(data), metadata: Buffer.from('') }
    all.push(stored)
    return stored
  }
  const survey = openSurvey({
    readAll: async ({ after, prefixes, maxCount }) =>
      all
        .filter(({ stream }) => prefixes.some((prefix) => stream.startsWith(prefix)))
        .filter(({ position }) => position.commit > (after?.commit ?? -1n))
        .slice(0, maxCount),
  })
  return { add, survey }
}

test('of a vault only the last version is alive', async () => {
  const { add, survey } = openAll()
  add('$$vault-1', '$metadata', '{"$maxCount":1}')
  const old = add('vault-1')
  const living = add('vault-1')
  await survey.advance(signal)
  expect([old, living].map(survey.isAlive)).toEqual([false, true])
  expect(survey.vaults()).toEqual(new Map([['vault-1', living.id]]))
  expect(survey.metadata()).toEqual(new Map([['vault-1', { $maxCount: 1 }]]))

  const newer = add('vault-1')
  await survey.advance(signal)
  expect(survey.vaults()).toEqual(new Map([['vault-1', newer.id]]))
})

test('of a stream that was deleted nothing is alive, whether for good or not, and nobody else is touched', async () => {
  const { add, survey } = openAll()
  const gone = [add('incident-a'), add('incident-b'), add('vault-2')]
  const there = add('incident-c')
  await survey.advance(signal)
  expect(gone.every(survey.isAlive)).toBe(true)
  add('$$incident-a', '$metadata', '{"$tb":9223372036854775807}')
  add('$$vault-2', '$metadata', '{"$maxCount":1,"$tb":9223372036854775807}')
  const tombstone = add('incident-b', '$streamDeleted')
  await survey.advance(signal)
  expect([...gone, tombstone].some(survey.isAlive)).toBe(false)
  expect(survey.isAlive(there)).toBe(true)
  expect(survey.vaults().size).toBe(0)
  expect(survey.metadata().size).toBe(0)
})

test('a stream that was deleted and written to again has what came after', async () => {
  const { add, survey } = openAll()
  const before = add('request-a')
  add('$$request-a', '$metadata', '{"$tb":1}')
  const after = add('request-a')
  await survey.advance(signal)
  expect([before, after].map(survey.isAlive)).toEqual([false, true])
})

test('metadata that nobody can read are none', async () => {
  const { add, survey } = openAll()
  const event = add('incident-a')
  add('$$incident-a', '$metadata', 'no JSON')
  await survey.advance(signal)
  expect(survey.isAlive(event)).toBe(true)
})
