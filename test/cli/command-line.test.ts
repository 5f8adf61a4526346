import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const bin = fileURLToPath(new URL('../../bin/incident-ledger', import.meta.url))

function run(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(bin, args, (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, out, err })
    })
  })
}

const commands = [
  'serve',
  'event-store',
  'import servicenow',
  'import ndjson',
  'rebuild',
  'copy',
  'republish',
  'replay',
  'erase',
  'keys issue',
  'keys list',
  'keys revoke',
  'keys rotate-secret',
  'verify',
  'export',
  'log-proof',
]

describe('--help', () => {
  it('lists every command', async () => {
    const { code, out } = await run('--help')
    expect(code).toBe(0)
    for (const name of commands) expect(out).toMatch(new RegExp(`^  ${name.split(' ')[0]}\\b`, 'm'))
  })

  it.each(commands)('of %s tells examples, exit codes, --json and --data-dir', async (name) => {
    const { code, out } = await run(...name.split(' '), '--help')
    expect(code).toBe(0)
    for (const part of ['Examples:', 'Exit codes:', '--json', '--data-dir']) expect(out).toContain(part)
  })
})

describe('a command line that is wrong ends with 2 and says why', () => {
  it.each([
    [[], 'Usage:'],
    [['frob'], "unknown command 'frob'"],
    [['replay', '--frob'], "unknown option '--frob'"],
    [['replay', '--as-of', 'yesterday'], 'must be an ISO 8601'],
    [['replay', '--as-of', '2999-01-01T00:00:00Z'], 'lies in the future'],
    [['replay', '--incident', '7'], 'must be a UUID'],
    [['replay', '--status', 'open'], 'Allowed choices are new, in_progress'],
    [
      ['replay', '--source', 'partner', '--incident', '0197a5c0-0000-7000-8000-000000000001'],
      "cannot be used with option '--incident <id>'",
    ],
    [['event-store'], "required option '--data"],
    [['event-store', '--data', 'x', '--port', '65536'], 'from 0 to 65535'],
    [['import', 'servicenow'], "missing required argument 'file'"],
    [['import', 'ndjson', 'x', '--source', 'a b'], '1 to 100 characters'],
    [['rebuild', 'more'], 'too many arguments'],
    [['verify'], 'or an event store with --store'],
    [['verify', 'bundle.json', '--url', 'http://127.0.0.1:1'], 'or an event store with --store'],
    [['verify', 'bundle.json'], 'verified with --key'],
    [['verify', 'bundle.json', '--key', 'name+00000000+AAAA'], 'a verifier key reads name+hash+key'],
    [['verify', '--store', 'events.backup'], 'got from elsewhere than the store'],
    [['verify', '--url', 'ftp://ledger.example'], 'must be http'],
    [['export', '--format', 'xml'], 'ndjson, csv, bundle'],
    [['export', '--from', 'yesterday'], 'must be an ISO 8601'],
    [['log-proof', '--out', 'x'], 'name a bundle, or one of --incident, --stream and --index'],
    [['log-proof', '--index', '1', '--revision', '1', '--out', 'x'], '--index names one event already'],
    [['log-proof', 'bundle.json'], "required option '--out"],
    [['log-proof', 'bundle.json', '--out', 'x', '--revision', '-1'], 'whole number'],
    [['copy', '--from', 'esdb://127.0.0.1:1?tls=false'], "required option '--to"],
    [['republish'], 'KAFKA_BROKERS is not set'],
  ])('%j', async (args, reason) => {
    const { code, out, err } = await run(...args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(reason)
  })
})

it('a file that is not there ends with 1 and is named, before anything is opened', async () => {
  await using directory = await temporaryDirectory()
  const missing = join(directory.path, 'missing.csv')
  const { code, err } = await run('--data-dir', join(directory.path, 'data'), 'import', 'servicenow', missing)
  expect(code).toBe(1)
  expect(err).toContain(missing)
})

it('a directory or a pipe is no file to import, and is named, before anything is opened', async () => {
  await using directory = await temporaryDirectory()
  const pipe = join(directory.path, 'pipe')
  execFileSync('mkfifo', [pipe])
  for (const file of [directory.path, pipe]) {
    const { code, err } = await run('--data-dir', join(directory.path, 'data'), 'import', 'ndjson', file)
    expect({ code, err }).toEqual({
      code: 1,
      err: `incident-ledger: ${file} is no file: an import reads its file twice, so save what comes out of a pipe first\n`,
    })
  }
})

it('event-store says where it listens, as JSON if it is to, and ends with 0 when it is told to', async () => {
  await using directory = await temporaryDirectory()
  const node = spawn(bin, ['event-store', '--json', '--port', '0', '--data', directory.path])
  const ended = once(node, 'exit')
  const [line] = await once(node.stdout, 'data')
  const said = JSON.parse(String(line))
  expect(said).toMatchObject({ type: 'listening', data: directory.path, port: expect.any(Number) })
  expect(said.url).toContain(`:${said.port}`)
  node.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
})
