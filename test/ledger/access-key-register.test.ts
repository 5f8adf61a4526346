import { expect, onTestFinished, test } from 'vitest'
import type { AccessKeyId, Scope } from '../../src/aggregates/access-key/index.ts'
import { accessKeyDigest } from '../../src/ledger/access-key-register.ts'
import type { KeyContext } from '../../src/ledger/ledger.ts'
import { openLedgerOn } from '../../src/ledger/open.ts'
import { openAccessKeyDirectory } from '../../src/projections/access-key-directory.ts'
import { openMemoryStore } from './support/memory-store.ts'

const context: KeyContext = {
  actor: { kind: 'access-key', id: 'x-access-key', name: 'X_ACCESS_KEY' },
  correlationId: 'a request',
}
const body = { name: 'pager', scopes: ['write'] as Scope[], expiresAt: null, requiresSignature: false }
const silent = { info: () => {}, warn: () => {}, error: () => {} }

async function openRegister(now = () => Date.parse('2026-01-31T09:00:00Z')) {
  const store = openMemoryStore()
  const secret = { current: { version: 1, value: 's'.repeat(32) }, previous: [] }
  const ledger = await openLedgerOn(store, { secret, log: silent, clock: now, appendDeadlineMs: 500 })
  onTestFinished(() => ledger.close())
  return { store, register: ledger.accessKeys }
}

test('a key is issued, revised and revoked in a stream of its own, which tells who did it', async () => {
  const { store, register } = await openRegister()
  const { accessKey, key } = await register.issue(body, context)
  const renamed = await register.revise(accessKey.id, { name: 'pager 2' }, context)
  const revoked = await register.revoke(accessKey.id, context)

  expect(key).toMatch(/^[0-9A-Za-z]{32}$/)
  expect(accessKey).toMatchObject({ ...body, digest: accessKeyDigest(key), revision: 0, status: 'active' })
  expect(renamed).toMatchObject({ name: 'pager 2', revision: 1 })
  expect(revoked).toMatchObject({ status: 'revoked', revision: 2 })
  const kept = store.all.filter(({ stream }) => stream === `accessKey-${accessKey.id}`)
  expect(kept.map(({ type }) => type)).toEqual(['AccessKeyIssued', 'AccessKeyRenamed', 'AccessKeyRevoked'])
  expect(kept.every(({ metadata }) => (metadata as { actor: unknown }).actor !== undefined)).toBe(true)
  expect(
    JSON.stringify(store.all, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
  ).not.toContain(key)
})

test('no two keys are the same', async () => {
  const { register } = await openRegister()
  const issued = await Promise.all(Array.from({ length: 50 }, () => register.issue(body, context)))
  expect(new Set(issued.map(({ key }) => key)).size).toBe(50)
})

test('what cannot be done is refused with its reason', async () => {
  const { register } = await openRegister()
  const unknown = '018bcfe5-6800-7000-8000-0000000000aa' as AccessKeyId
  await expect(register.revoke(unknown, context)).rejects.toThrow('access-key-not-found')
  const { accessKey } = await register.issue(body, context)
  await register.revoke(accessKey.id, context)
  await expect(register.revise(accessKey.id, { name: 'again' }, context)).rejects.toThrow(
    'access-key-revoked',
  )
})

test('two who change one key at once both get through, one after the other', async () => {
  const { store, register } = await openRegister()
  const { accessKey } = await register.issue(body, context)
  const names = ['one', 'two', 'three', 'four']
  await Promise.all(names.map((name) => register.revise(accessKey.id, { name }, context)))
  const renamings = store.all
    .filter(({ type }) => type === 'AccessKeyRenamed')
    .map(({ data }) => data as { from: string; to: string })
  expect(renamings.map(({ to }) => to).sort()).toEqual([...names].sort())
  expect(renamings.map(({ from }) => from)).toEqual(['pager', ...renamings.map(({ to }) => to)].slice(0, 4))
})

test('a clock that is set back does not make the history of a key run backwards', async () => {
  let now = Date.parse('2026-01-31T09:00:00Z')
  const { register } = await openRegister(() => now)
  const { accessKey } = await register.issue(body, context)
  now -= 60_000
  expect((await register.revoke(accessKey.id, context)).updatedAt).toBe(accessKey.updatedAt)
})

test('the directory knows every key, and each change of one, also after the event store was away', async () => {
  const { store, register } = await openRegister()
  const first = await register.issue(body, context)
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const directory = openAccessKeyDirectory(register, stop.signal)
  await directory.loaded
  expect(directory.byDigest(accessKeyDigest(first.key))).toEqual(first.accessKey)
  expect(directory.byDigest(accessKeyDigest('another'))).toBeUndefined()

  store.away = true
  expect(directory.byId(first.accessKey.id)).toEqual(first.accessKey)
  store.away = false
  const second = await register.issue({ ...body, name: 'second' }, context)
  const revoked = await register.revoke(first.accessKey.id, context)
  await directory.shown(revoked.id, revoked.revision, 10_000)
  expect(directory.byId(revoked.id)).toEqual(revoked)
  expect(directory.all()).toEqual([revoked, second.accessKey])
})

test('a directory that is stopped before it has read the keys says so', async () => {
  const { register } = await openRegister()
  const directory = openAccessKeyDirectory(register, AbortSignal.abort())
  await expect(directory.loaded).rejects.toThrow('stopped before')
})

test('an event of a key that cannot be read is logged and passed over', async () => {
  const { store, register } = await openRegister()
  const { accessKey } = await register.issue(body, context)
  const strange = { id: crypto.randomUUID(), type: 'AccessKeyPainted', data: {}, metadata: {} }
  await store.append(`accessKey-${crypto.randomUUID()}`, [strange], -1, 100)
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const directory = openAccessKeyDirectory(register, stop.signal)
  await directory.loaded
  expect(directory.all()).toEqual([accessKey])
})
