/** What the commands of an auditor say of a service that runs, with real incidents in it. */
import { execFile } from 'node:child_process'
import { hash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { openLogFile } from '../../../src/embedded/event-store/log-file.ts'
import { storedEntry } from '../../../src/ledger/stored-log.ts'
import { isLedgerStream } from '../../../src/ledger/streams.ts'
import { accessKey, startService } from '../../support/service-process.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { waitFor } from '../../support/wait-for.ts'
import { wholeLog } from '../import/importing.ts'

const bin = fileURLToPath(new URL('../../../bin/incident-ledger', import.meta.url))

it('a service with 890 real incidents verifies whole, and each of them by itself', async () => {
  await using directory = await temporaryDirectory()
  const file = (name: string) => join(directory.path, name)
  await using service = await startService({ DATA_DIR: file('data') })
  const run = (...args: readonly string[]) => answerOf(['--data-dir', file('data'), ...args], directory.path)
  await writeFile(file('incidents.csv'), gunzipSync(await readFile(wholeLog)))
  expect((await run('import', 'servicenow', file('incidents.csv'))).code).not.toBe(1)
  const ledger = await run('export')
  const lines = ledger.out.trimEnd().split('\n')
  expect(ledger.err).toContain(`${lines.length} events exported`)

  const note = async () => {
    const answer = await fetch(`${service.url}/ledger/checkpoint`, { headers: { 'x-access-key': accessKey } })
    return answer.ok ? answer.text() : ''
  }
  await waitFor(async () => Number((await note()).split('\n')[1]) === lines.length, {
    describe: 'every event is signed',
  })
  await writeFile(file('note'), await note())
  const keys = await fetch(`${service.url}/ledger/key`, { headers: { 'x-access-key': accessKey } })
  const [key = ''] = (await keys.text()).split('\n')
  await writeFile(file('access-key'), accessKey)
  const asked = ['--url', service.url, '--access-key-file', file('access-key')]

  const whole = await run('--json', 'verify', ...asked, '--key', key, '--known', file('note'))
  expect(JSON.parse(whole.out)).toMatchObject({
    verified: true,
    events: lines.length,
    streams: 890,
    findings: [],
  })

  const [, size, root] = (await note()).split('\n')
  using stored = openLogFile(file('data'))
  const entries = [...stored.events(isLedgerStream)]
    .flat()
    .map((event) => storedEntry({ ...event, stream: event.streamName }))
  expect({ size: entries.length, root: rootOf(entries).toString('base64') }).toEqual({
    size: Number(size),
    root,
  })
  const ofStore = await run(
    '--json',
    'verify',
    '--store',
    file('data'),
    '--key',
    key,
    '--known',
    file('note'),
  )
  expect(JSON.parse(ofStore.out)).toMatchObject({ verified: true, events: lines.length, findings: [] })

  const { incidentId } = JSON.parse(lines[1_000] ?? '')
  const bundle = await run('export', '--format', 'bundle', '--incident', incidentId, ...asked)
  expect(bundle.err).toContain('1 incidents exported')
  await writeFile(file('bundle.json'), bundle.out)
  const ofIt = lines.map((line) => JSON.parse(line)).filter((event) => event.incidentId === incidentId)
  const proved = await run('--json', 'verify', file('bundle.json'), '--key', key)
  const { verified, events } = JSON.parse(proved.out)
  expect(verified).toBe(true)
  expect(events.map((event: { index: number }) => event.index)).toEqual(ofIt.map(({ index }) => index))
  expect(events[0].fields.title).toEqual({ state: 'disclosed', value: ofIt[0].data.title })

  const title = JSON.stringify(ofIt[0].data.title)
  await writeFile(file('bundle.json'), bundle.out.replace(title, JSON.stringify('Nothing happened')))
  expect(await run('verify', file('bundle.json'), '--key', key)).toMatchObject({
    code: 4,
    out: expect.stringContaining('the text of title is not the one that the event commits to'),
  })
  const proofs = await run('--json', 'log-proof', '--incident', incidentId, ...asked, '--out', file('proofs'))
  expect(JSON.parse(proofs.out).files).toHaveLength(2 * ofIt.length)

  const { id } = JSON.parse((await run('--json', 'keys', 'issue', 'pager', '--scopes', 'read')).out)
  await waitFor(async () => Number((await note()).split('\n')[1]) > lines.length, {
    describe: 'the access key is signed',
  })
  const ofKey = await run(
    '--json',
    'log-proof',
    '--stream',
    `accessKey-${id}`,
    ...asked,
    '--out',
    file('proofs'),
  )
  expect(JSON.parse(ofKey.out).files).toEqual(
    ['tlog-proof', 'entry'].map((kind) => join(file('proofs'), `${lines.length}.${kind}`)),
  )
})

/** As RFC 6962 (2.1) defines it. */
function rootOf(leaves: readonly Buffer[]): Buffer {
  const sha256 = (...parts: readonly Buffer[]) => hash('sha256', Buffer.concat(parts), 'buffer')
  const [only] = leaves
  if (only !== undefined && leaves.length === 1) return sha256(Buffer.of(0), only)
  const split = 2 ** Math.ceil(Math.log2(leaves.length) - 1)
  return sha256(Buffer.of(1), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)))
}

function answerOf(
  args: readonly string[],
  cwd: string,
): Promise<{ code: unknown; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(bin, args, { cwd, maxBuffer: 2 ** 28 }, (error, out, err) => {
      resolve({ code: error ? (error.code ?? err) : 0, out, err })
    })
  })
}
