import { execFile } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { parse } from 'csv-parse/sync'
import { describe, expect, it } from 'vitest'
import { type IncidentId, type Instant, incidentId } from '../../../src/aggregates/incident/index.ts'
import { readCheckpoint } from '../../../src/audit/checkpoint.ts'
import { hashOfLeaf, provesInclusion } from '../../../src/audit/merkle.ts'
import { openServedLog } from '../../../src/audit/served-proof.ts'
import { noteVerifier, readNote, verifiedSignatures } from '../../../src/audit/signed-note.ts'
import { readTlogProof } from '../../../src/audit/tlog-proof.ts'
import { bundlesOf } from '../../../src/cli/export/bundles.ts'
import { csvOf } from '../../../src/cli/export/csv.ts'
import { exportedEvents, incidentsOf } from '../../../src/cli/export/events.ts'
import { writeLines } from '../../../src/cli/export/output.ts'
import { serviceNow } from '../../../src/cli/import/servicenow.ts'
import { serviceClient } from '../../../src/cli/service-client.ts'
import { serveLog } from '../../audit/log-server.ts'
import { bundleOfIncident, entryText, logOf, sampleEvents, signer, uuid } from '../../audit/sample-log.ts'
import { openMemoryStore } from '../../ledger/support/memory-store.ts'
import { ledgerOn } from '../../ledger/support/requests.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { extract, imported } from '../import/importing.ts'
import { runVerify } from '../verify/run-verify.ts'

const store = openMemoryStore()
await imported(serviceNow, extract, store)
const ledger = await ledgerOn(store)
const inStore = store.all.filter(({ stream }) => /^(incident|accessKey)-/.test(stream))
const some = incidentId.parse(inStore[200]?.stream.slice('incident-'.length))
const signal = new AbortController().signal

async function exported(extent: { from?: Instant; to?: Instant; incident?: IncidentId } = {}) {
  return Array.fromAsync(exportedEvents({ ledger, signal, ...extent }))
}

describe('an export of events', () => {
  it('has each event of the ledger, in its order, with its index', async () => {
    const events = await exported()
    expect(events.map(({ index, id, revision }) => ({ index, id, revision }))).toEqual(
      inStore.map(({ id, revision }, index) => ({ index, id, revision })),
    )
    expect(events[0]).toMatchObject({ type: 'IncidentReported', data: { source: expect.any(String) } })
  })

  it('tells of access keys, and nothing that one could be told by', async () => {
    const withKeys = await ledgerOn(openMemoryStore())
    const actor = { kind: 'access-key', id: 'x-access-key', name: 'X_ACCESS_KEY' } as const
    const body = { name: 'pager', scopes: ['read' as const], expiresAt: null, requiresSignature: false }
    const { accessKey } = await withKeys.accessKeys.issue(body, { actor, correlationId: 'a request' })
    const events = await Array.fromAsync(exportedEvents({ ledger: withKeys, signal }))
    expect(events).toMatchObject([
      { index: 0, accessKeyId: accessKey.id, type: 'AccessKeyIssued', actor, data: body },
    ])
    expect(JSON.stringify(events)).not.toContain('digest')
    expect(
      await Array.fromAsync(
        incidentsOf(
          (async function* () {
            yield* events
          })(),
        ),
      ),
    ).toEqual([])
    const lines = await Array.fromAsync(
      csvOf(
        (async function* () {
          yield* events
        })(),
      ),
    )
    expect(parse(lines.join('\n'), { columns: true })).toMatchObject([
      { incidentId: '', accessKeyId: accessKey.id, erased: '' },
    ])
  })

  it('of one incident has its events, with their places in the whole ledger', async () => {
    const events = await exported({ incident: some })
    expect(events.map(({ index }) => index)).toEqual(
      inStore.flatMap(({ stream }, index) => (stream === `incident-${some}` ? [index] : [])),
    )
    const nobody = incidentId.parse(uuid('nobody'))
    await expect(exported({ incident: nobody })).rejects.toThrow('incident-not-found')
  })

  it('of a period has what was recorded from then on and before then', async () => {
    const all = await exported()
    const at = all[100]?.recordedAt
    if (at === undefined) throw new Error('the extract has more events than that')
    const before = await exported({ to: at })
    const after = await exported({ from: at })
    expect([...before, ...after]).toEqual(all)
    expect(after[0]?.recordedAt).toBe(at)
  })

  it('as CSV reads back as what was written, and no cell is a formula', async () => {
    const [event] = await exported()
    if (event === undefined || !('incidentId' in event)) throw new Error('the extract has events')
    const actor = { kind: 'access-key', id: 'a "quoted", id\nin two lines', name: '=HYPERLINK("x")' } as const
    const lines = await Array.fromAsync(
      csvOf(
        (async function* () {
          yield { ...event, actor, erased: ['title', 'actor.name'] }
        })(),
      ),
    )
    expect(parse(`${lines.join('\n')}\n`, { columns: true })).toEqual([
      {
        index: '0',
        id: event.id,
        incidentId: event.incidentId,
        revision: '0',
        type: 'IncidentReported',
        at: event.at,
        recordedAt: event.recordedAt,
        actorKind: 'access-key',
        actorId: actor.id,
        actorName: `'${actor.name}`,
        correlationId: event.correlationId,
        data: JSON.stringify(event.data),
        erased: 'title actor.name',
        accessKeyId: '',
      },
    ])
  })

  it('refuses to leave out what it cannot read', async () => {
    const strange = openMemoryStore()
    await strange.append(
      `incident-${uuid('strange')}`,
      [{ id: uuid('event'), type: 'IncidentOfTomorrow', data: {}, metadata: {} }],
      -1,
      1_000,
    )
    const events = exportedEvents({ ledger: await ledgerOn(strange), signal })
    await expect(Array.fromAsync(events)).rejects.toThrow('history-unreadable')
  })

  it('waits for a slow reader, and ends with one that leaves', async () => {
    const slow = new PassThrough({ highWaterMark: 1_024 })
    const line = 'x'.repeat(1_000)
    async function* lines() {
      for (let count = 0; count < 1_000; count += 1) yield line
    }
    const written = writeLines(lines(), slow)
    let bytes = 0
    slow.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    expect(await written).toBe(1_000)
    slow.end()
    await new Promise((resolve) => slow.on('end', resolve))
    expect(bytes).toBe(1_001_000)

    const left = new PassThrough({ highWaterMark: 1_024 })
    const ended = writeLines(lines(), left)
    left.destroy()
    expect(await ended).toBeLessThan(1_000)
  })
})

describe('an export of bundles', () => {
  it('is what the service gives for each incident, a line each, once', async () => {
    const asked: string[] = []
    const ask = async (path: string) => {
      asked.push(path)
      return Buffer.from(`{"of":"${path}"}`)
    }
    const bundles = await Array.fromAsync(bundlesOf(incidentsOf(exportedEvents({ ledger, signal })), ask))
    const ids = [...new Set(inStore.map(({ stream }) => stream.slice('incident-'.length)))]
    expect(asked).toEqual(ids.map((id) => `/incidents/${id}/proof`))
    expect(bundles).toEqual(asked.map((path) => `{"of":"${path}"}`))
    const none = bundlesOf(
      incidentsOf(exportedEvents({ ledger, signal, incident: some })),
      async () => undefined,
    )
    await expect(Array.fromAsync(none)).rejects.toThrow(`no incident ${some}`)
  })

  it('asks with the key it was given, and follows nobody elsewhere', async () => {
    const keys: unknown[] = []
    const server = createServer((request, response) => {
      keys.push(request.headers['x-access-key'])
      response.writeHead(302, { location: '/elsewhere' }).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const url = new URL(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`)
    const stop = new AbortController()
    const asked = serviceClient({ url, accessKey: 'a key', signal: stop.signal })('/incidents')
    // A redirection is no answer: it is asked again, never elsewhere.
    server.once('request', () => server.once('request', () => stop.abort(new Error('enough'))))
    await expect(asked).rejects.toThrow()
    server.close()
    expect(new Set(keys)).toEqual(new Set(['a key']))
  })
})

describe('log-proof of what a service serves', () => {
  const key = `accessKey-${uuid('key')}`
  const events = sampleEvents(600, 50).map((event, at) =>
    [3, 300, 599].includes(at) ? { ...event, stream: key, revision: [3, 300, 599].indexOf(at) } : event,
  )
  const log = logOf(events.map(entryText))

  async function written(...args: readonly string[]) {
    await using server = await serveLog(log, [signer.encoded])
    await using directory = await temporaryDirectory()
    const out = join(directory.path, 'proofs')
    const run = await runVerify(['--json', 'log-proof', '--url', server.url.href, '--out', out, ...args])
    const names = run.code === 0 ? await readdir(out) : []
    const proved = names
      .filter((name) => name.endsWith('.tlog-proof'))
      .map(async (name) => {
        const { index, proof, note } = readTlogProof(await readFile(join(out, name), 'utf8'))
        const { size, root } = readCheckpoint(readNote(note).text)
        const leaf = hashOfLeaf(await readFile(join(out, `${index}.entry`)))
        expect(provesInclusion(leaf, index, size, proof, root)).toBe(true)
        return index
      })
    return { ...run, indexes: (await Promise.all(proved)).sort((a, b) => a - b) }
  }

  it('proves the events of an access key, all or one of them', async () => {
    expect((await written('--stream', key)).indexes).toEqual([3, 300, 599])
    expect((await written('--stream', key, '--revision', '1')).indexes).toEqual([300])
  })

  it.each([0, 255, 256, 511, 512, 599])('proves event %i by its index', async (index) => {
    expect((await written('--index', String(index))).indexes).toEqual([index])
  })

  it('says what is not there', async () => {
    expect((await written('--index', '600')).err).toContain('no event 600 under the newest note')
    expect((await written('--stream', key, '--revision', '3')).err).toContain(
      `no revision 3 of the stream ${key}`,
    )
    expect((await written('--stream', 'accessKey')).err).toContain('no event of the stream accessKey ')
  })
})

it('log-proof writes nothing that its note does not prove', async () => {
  const entries = sampleEvents(20, 5).map(entryText)
  const log = logOf(entries, { served: entries.with(7, entries[8] ?? '') })
  const { proofAt } = await openServedLog(log.files)
  await expect(proofAt(7)).rejects.toThrow('does not prove its event 7')
  expect((await proofAt(8)).entry.toString()).toBe(entries[8])
})

describe('log-proof', () => {
  const events = sampleEvents(60, 6)
  const log = logOf(events.map(entryText))
  const bundle = bundleOfIncident(log, events, uuid('incident 2'))

  it('writes proofs that other tools verify, and the entries they are of', async () => {
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'bundle.json')
    await writeFile(file, JSON.stringify(bundle))
    const out = join(directory.path, 'proofs')
    const bin = join(import.meta.dirname, '../../../bin/incident-ledger')
    const run = (...args: readonly string[]) =>
      new Promise<{ code: unknown; out: string; err: string }>((resolve) => {
        execFile(bin, ['log-proof', file, '--out', out, ...args], (error, stdout, err) =>
          resolve({ code: error?.code ?? 0, out: stdout, err }),
        )
      })
    expect(await run('--revision', '10')).toMatchObject({
      code: 1,
      err: expect.stringContaining('has 0 to 9'),
    })
    const { code, out: said } = await run()
    expect(code).toBe(0)
    expect(said.trimEnd().split('\n')).toHaveLength(20)
    for (const { index, entry } of bundle.events) {
      const kept = await readFile(join(out, `${index}.entry`))
      expect(kept.toString()).toBe(entry)
      const {
        note,
        proof,
        index: place,
      } = readTlogProof(await readFile(join(out, `${index}.tlog-proof`), 'utf8'))
      const { text } = readNote(note)
      expect(verifiedSignatures(readNote(note), [noteVerifier(signer.encoded)])).toHaveLength(1)
      const { size, root } = readCheckpoint(text)
      expect(provesInclusion(hashOfLeaf(kept), place, size, proof, root)).toBe(true)
    }
  })
})
