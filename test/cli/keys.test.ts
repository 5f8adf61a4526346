import { describe, expect, test } from 'vitest'
import { accessKeyId } from '../../src/aggregates/access-key/index.ts'
import { issueKey, keyFrom, listKeys, revokeKey } from '../../src/cli/keys.ts'
import { accessKeyDigest } from '../../src/ledger/access-key-register.ts'
import { openMemoryStore } from '../ledger/support/memory-store.ts'
import { ledgerOn } from '../ledger/support/requests.ts'
import { recordedTerminal } from './recorded-terminal.ts'

const pager = { name: 'pager', scopes: ['write', 'read'], requiresSignature: false }

async function openKeys(json: boolean) {
  const store = openMemoryStore()
  const ledger = await ledgerOn(store)
  const said = async (work: (options: Parameters<typeof revokeKey>[1]) => Promise<void>) => {
    const terminal = recordedTerminal()
    await work({ ledger, terminal, json, correlationId: 'command-17' })
    return terminal.said
  }
  return { store, said }
}

describe('access keys on the command line', () => {
  test('are issued, listed and revoked', async () => {
    const { store, said } = await openKeys(true)
    const issued = JSON.parse((await said((options) => issueKey(keyFrom(pager), options))).out)
    expect(issued).toMatchObject({
      type: 'access-key',
      name: 'pager',
      scopes: ['read', 'write'],
      status: 'active',
      expiresAt: null,
    })
    expect(store.all.at(-1)?.data).toMatchObject({ digest: accessKeyDigest(issued.key) })

    const { key, signingSecret, ...listed } = issued
    expect(signingSecret).toMatch(/^[\w-]{43}$/)
    expect((await said(listKeys)).out).toBe(`${JSON.stringify(listed)}\n`)
    expect(key).toHaveLength(32)

    await said((options) => revokeKey(accessKeyId.parse(issued.id), options))
    expect(JSON.parse((await said(listKeys)).out)).toMatchObject({ id: issued.id, status: 'revoked' })
  })

  test('are told in words, too', async () => {
    const { said } = await openKeys(false)
    expect((await said(listKeys)).out).toBe('No access key was issued yet.\n')
    const issued = await said((options) => issueKey(keyFrom({ ...pager, requiresSignature: true }), options))
    expect(issued.out).toMatch(
      /^ {2}id +[0-9a-f-]{36}\n {2}name +pager\n {2}scopes +read, write\n {2}expires +never\n {2}key +not needed/,
    )
    expect(issued.err).toBe('Neither is kept, nor shown again.\n')
    expect((await said(listKeys)).out).toMatch(/^[0-9a-f-]{36} {2}active {3}read,write +pager\n$/)
  })

  test('that there are not cannot be revoked', async () => {
    const { said } = await openKeys(false)
    const none = accessKeyId.parse('018bcfe5-6800-7000-8000-0000000000aa')
    await expect(said((options) => revokeKey(none, options))).rejects.toThrow('access-key-not-found')
  })
})

test.each([
  [{ scopes: ['root'] }, /^scopes: /],
  [{ name: ' ' }, /^name: must not be blank/],
  [{ expires: 'tomorrow' }, /^expiresAt: must be an ISO 8601 date/],
])('%j is refused in a sentence', (wrong, message) => {
  expect(() => keyFrom({ ...pager, ...wrong })).toThrow(message)
})
