import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { noteVerifier, readNote } from '../../../src/audit/signed-note.ts'
import { serveLog } from '../../audit/log-server.ts'
import {
  bundleOfIncident,
  entryText,
  logOf,
  sampleEvents,
  signedNote,
  signer,
  uuid,
} from '../../audit/sample-log.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { runVerify } from './run-verify.ts'

const events = sampleEvents(600, 50)
const entries = events.map(entryText)
const sizes = [1, 100, 256, 300, 512, 599, 600]
const sound = logOf(entries, { sizes })
const incidentId = uuid('incident 3')
const bundle = bundleOfIncident(sound, events, incidentId)
const key = ['--key', signer.encoded]

describe('verify BUNDLE', () => {
  it('shows what is proved, and says what is not', async () => {
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'bundle.json')
    const [first, ...others] = bundle.events
    await writeFile(
      file,
      JSON.stringify({ ...bundle, events: [first, ...others.map((e) => ({ ...e, disclosures: {} }))] }),
    )
    const { code, out } = await runVerify(['verify', file, ...key])
    expect(code).toBe(0)
    expect(out).toContain(`Incident ${incidentId}: 12 events, revisions 0 to 11`)
    expect(out).toContain('title: "Disk 3 full"')
    expect(out).toContain('text: (sealed: its text is not in the bundle)')
    expect(out).toContain('Later events of this incident are not excluded')
    expect(JSON.parse((await runVerify(['verify', file, ...key, '--json'])).out)).toMatchObject({
      type: 'bundle',
      verified: true,
      incidentId,
      checkpoint: { size: 600 },
      laterEventsExcluded: false,
      events: [
        { revision: 0, fields: { title: { state: 'disclosed', value: 'Disk 3 full' } } },
        ...Array(11).fill({}),
      ],
      findings: [],
    })
  })

  it('ends with 4 and names what is wrong', async () => {
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'bundle.json')
    await writeFile(file, JSON.stringify(bundle).replace('Disk 3 full', 'Disk 3 fine'))
    const { code, out } = await runVerify(['verify', file, ...key])
    expect(code).toBe(4)
    expect(out).toContain('is NOT what the log holds')
    expect(out).toContain(`event 3 (incident-${incidentId}, revision 0): the text of title is not the one`)
    expect(JSON.parse((await runVerify(['verify', file, ...key, '--json'])).out)).toMatchObject({
      verified: false,
      events: [],
      findings: [{ code: 'disclosure', index: 3, revision: 0 }],
    })
  })

  it('ends with 1 where there is no such file', async () => {
    expect(await runVerify(['verify', '/nowhere/bundle.json', ...key])).toMatchObject({
      code: 1,
      err: expect.stringContaining('/nowhere/bundle.json'),
    })
  })
})

describe('verify --url', () => {
  it('verifies the whole log, with the configured key on this machine, and says whose word it is', async () => {
    await using server = await serveLog(sound, [signer.encoded])
    await using directory = await temporaryDirectory()
    const state = ['--state', join(directory.path, 'state')]
    const { code, out, err } = await runVerify(['verify', '--url', server.url.href, ...state])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/events +600$/m)
    expect(out).toContain('No --key was given')
    expect(new Set(server.asked.map(({ accessKey }) => accessKey))).toEqual(new Set(['the configured key']))
    const json = await runVerify(['verify', '--url', server.url.href, ...key, ...state, '--json'])
    expect(JSON.parse(json.out)).toMatchObject({
      type: 'log',
      verified: true,
      keysGiven: true,
      events: 600,
      streams: 50,
      checkpoint: { size: 600, root: sound.root(600).toString('base64') },
    })
    expect(existsSync(join(directory.path, 'state'))).toBe(false)
  })

  it('goes on where the service is busy or the connection breaks', async () => {
    await using server = await serveLog(sound, [signer.encoded], (_, nth) =>
      nth % 3 === 0 ? 503 : nth % 7 === 0 ? 'break' : undefined,
    )
    expect(await runVerify(['verify', '--url', server.url.href, ...key])).toMatchObject({ code: 0 })
  })

  it('says what to do where the key does not open the ledger', async () => {
    await using server = await serveLog(sound, [signer.encoded], () => 403)
    expect(await runVerify(['verify', '--url', server.url.href, ...key])).toMatchObject({
      code: 1,
      err: expect.stringContaining('--access-key-file'),
    })
  })

  it('sends the key of a file instead, where one is named', async () => {
    await using server = await serveLog(sound, [signer.encoded])
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'key')
    await writeFile(file, "an auditor's key\n")
    expect(
      await runVerify(['verify', '--url', server.url.href, ...key, '--access-key-file', file]),
    ).toMatchObject({
      code: 0,
    })
    expect(new Set(server.asked.map(({ accessKey }) => accessKey))).toEqual(new Set(["an auditor's key"]))
  })

  it('ends with 4 and names the event', async () => {
    const served = entries.with(321, entries[321]?.replace('access-key', 'access-keq') ?? '')
    await using server = await serveLog(logOf(entries, { sizes, served }), [signer.encoded])
    const { code, out } = await runVerify(['verify', '--url', server.url.href, ...key])
    expect(code).toBe(4)
    expect(out).toContain(`event 321 (${events[321]?.stream}, revision 6)`)
  })

  it('sees with a note kept from before what was cut off with its notes', async () => {
    await using server = await serveLog(logOf(entries.slice(0, 300), { sizes: [300] }), [signer.encoded])
    await using directory = await temporaryDirectory()
    const known = join(directory.path, 'note')
    await writeFile(known, signedNote(512, sound.root(512)))
    const args = ['verify', '--url', server.url.href, ...key]
    expect(await runVerify(args)).toMatchObject({ code: 0 })
    const { code, out } = await runVerify([...args, '--known', known])
    expect({ code, out }).toMatchObject({
      code: 4,
      out: expect.stringContaining('promises 512 events, but the log has 300'),
    })
  })

  it('interrupted, says where it keeps its state, goes on from there, and removes it', async () => {
    await using directory = await temporaryDirectory()
    const state = join(directory.path, 'state')
    const interruption = new AbortController()
    await using server = await serveLog(sound, [signer.encoded], (path) => {
      // The third tile is the one at the end: the two before it are through by then.
      if (path.startsWith('/ledger/checkpoints') && path.includes('cursor=6')) interruption.abort()
      return undefined
    })
    const args = ['verify', '--url', server.url.href, ...key, '--state', state]
    const { code, err } = await runVerify(args, interruption.signal)
    expect({ code, err }).toMatchObject({ code: 130, err: expect.stringContaining(`state in ${state}`) })
    expect(await readFile(state, 'utf8')).toContain('incident-ledger/verification@1')

    const before = server.asked.length
    const again = await runVerify(args)
    expect(again).toMatchObject({ code: 0, err: expect.stringContaining('Going on after event 511') })
    expect(again.out).toMatch(/events +600$/m)
    const paths = server.asked.slice(before).map(({ path }) => path)
    expect(paths).toContain('/ledger/tile/entries/002.p/88')
    expect(paths).not.toContain('/ledger/tile/entries/001')
    expect(existsSync(state)).toBe(false)
  })
})

const hasOpenssl = await promisify(execFile)('openssl', ['version']).then(
  () => true,
  () => false,
)
if (!hasOpenssl) console.log('openssl is not on PATH: that it takes our signatures is not tried')

it.skipIf(!hasOpenssl)('openssl takes the signature of a note, by the key as it is published', async () => {
  await using directory = await temporaryDirectory()
  const file = (name: string) => join(directory.path, name)
  const { text, signatures } = readNote(signedNote(600, sound.root(600)))
  const spki = Buffer.concat([
    Buffer.from('302a300506032b6570032100', 'hex'),
    Buffer.from(noteVerifier(signer.encoded).encoded.split('+').slice(2).join('+'), 'base64').subarray(1),
  ])
  await writeFile(file('key.der'), spki)
  await writeFile(file('text'), text)
  await writeFile(file('signature'), signatures[0]?.signature ?? '')
  const verify = () =>
    execFileSync(
      'openssl',
      [
        'pkeyutl',
        '-verify',
        '-pubin',
        '-inkey',
        file('key.der'),
        '-keyform',
        'DER',
        '-rawin',
        '-in',
        file('text'),
        '-sigfile',
        file('signature'),
      ],
      { encoding: 'utf8', stdio: 'pipe' },
    )
  expect(verify()).toContain('Verified Successfully')
  await writeFile(file('text'), text.replace('600', '601'))
  expect(verify).toThrow()
})
