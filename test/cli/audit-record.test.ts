import { readFile, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { onRecord } from '../../src/cli/audit-record.ts'
import { runCommandLine } from '../../src/cli/program.ts'
import type { Runtime } from '../../src/main.ts'
import { openMemoryStore } from '../ledger/support/memory-store.ts'
import { context, ledgerOn, report } from '../ledger/support/requests.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { recordedTerminal } from './recorded-terminal.ts'

async function recordsIn(file: string) {
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line))
}

test('what a command does is on the disk before it begins, and so is how it ended', async () => {
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'made', 'audit.log')
  const account = userInfo().username
  const begun = { audit: true, level: 30, command: 'replay', options: ['as-of'], account, msg: 'command' }
  const replay = { command: 'replay', options: ['as-of'] }
  const seen = await onRecord(file, replay, async (correlationId) => {
    expect(await recordsIn(file)).toEqual([{ ...begun, correlationId, time: expect.any(String) }])
    return correlationId
  })
  const failing = onRecord(file, replay, async () => {
    throw new Error('the event store is away')
  })
  await expect(failing).rejects.toThrow('the event store is away')
  const ended = { msg: 'command ended', durationMs: expect.any(Number) }
  expect(await recordsIn(file)).toMatchObject([
    { ...begun, correlationId: seen },
    { ...begun, ...ended, correlationId: seen, outcome: 'done' },
    begun,
    { ...begun, ...ended, outcome: 'failed' },
  ])
  expect((await stat(file)).mode & 0o777).toBe(0o600)
})

test('what cannot be put on record is not done', async () => {
  const nothing = onRecord('/dev/null/audit.log', { command: 'export', options: [] }, async () => {
    throw new Error('it was done')
  })
  await expect(nothing).rejects.toThrow('the command cannot be put on record')
})

test('commands that read history or change keys are on record, with no value of an option and no argument', async () => {
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'audit.log')
  const ledger = await ledgerOn(openMemoryStore())
  const { incident } = await ledger.incidents.report(report({ title: 'Miller' }), context())
  const run = async (...args: readonly string[]) => {
    const runtime = { ledger, [Symbol.asyncDispose]: async () => {} } as unknown as Runtime // the rest is not asked for
    const surroundings = { openRuntime: async () => runtime, auditFile: () => file, version: 'test' }
    const interruption = new AbortController().signal
    const terminal = recordedTerminal()
    const others = { interruption, terminal } as unknown as Parameters<typeof runCommandLine>[1]
    expect(await runCommandLine(args, { ...others, ...surroundings }), terminal.said.err).toBe(0)
  }
  await run('export', '--incident', incident.id, '--from', '2020-01-01T00:00:00Z')
  await run('replay', '--incident', incident.id)
  await run('replay', '--status', 'new')
  await run('erase', incident.id, '--reason', 'request of Miller')
  await run('keys', 'issue', 'pager', '--scopes', 'read')
  await run('keys', 'list')
  const records = await recordsIn(file)
  expect(
    records.filter(({ msg }) => msg === 'command').map(({ command, options }) => [command, options]),
  ).toEqual([
    ['export', ['from', 'incident']],
    ['replay', ['incident']],
    ['replay', ['status']],
    ['erase', ['reason']],
    ['keys issue', ['scopes']],
    ['keys list', []],
  ])
  expect(records).toHaveLength(12)
  expect(await readFile(file, 'utf8')).not.toMatch(/Miller|pager|2020/)
  const erasure = (await ledger.history.events(incident.id)).at(-1)
  const erase = records.find(({ command }) => command === 'erase')
  expect(erasure?.metadata.$correlationId).toBe(erase.correlationId)
})
