/**
 * `node bench/verify.ts [events]`: how long `verify --url` takes over a log of so many events (20,000 by default; 1,000,000 is what it is
 * made for), served by another process, and how much memory it has at the most. A service of ours would serve from Postgres; here the
 * files come from memory, so that it is the verification that is measured.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkpointText } from '../src/audit/checkpoint.ts'
import { growingTree, hashOfLeaf } from '../src/audit/merkle.ts'
import { noteSigner, signNote } from '../src/audit/signed-note.ts'
import { bundleOf, readTilePath, tileHeight, tileWidth } from '../src/audit/tiles.ts'
import { verifyLogAt } from '../src/cli/verify/verify-log.ts'
import { uuid } from '../test/audit/sample-log.ts'
import { recordedTerminal } from '../test/cli/recorded-terminal.ts'

const defaultEvents = 20_000
const eventsAnIncident = 5
const notes = 1_000
const mebibyte = 1024 * 1024
const signer = noteSigner('bench.example/ledger', Buffer.alloc(32, 1))

if (process.send) await serve(Number(process.argv[2]))
else await measure(Number(process.argv[2] ?? defaultEvents))

async function measure(events: number): Promise<void> {
  const server = fork(fileURLToPath(import.meta.url), [String(events)])
  try {
    const [port] = await once(server, 'message')
    const terminal = recordedTerminal()
    const began = performance.now()
    const code = await verifyLogAt({
      url: new URL(`http://127.0.0.1:${port}`),
      verifiers: [signer],
      knownFiles: [],
      accessKey: undefined,
      stateFile: join(tmpdir(), `incident-ledger-bench-${process.pid}.state`),
      terminal,
      json: true,
      signal: new AbortController().signal,
    })
    const seconds = (performance.now() - began) / 1_000
    if (code !== 0) throw new Error(`the sample log did not verify: ${terminal.said.out}`)
    const { user, system } = process.cpuUsage()
    console.log(
      `verify --url over ${events} events: ${seconds.toFixed(1)} s, ${Math.round(events / seconds)} events/s, ` +
        `${((user + system) / events).toFixed(1)} µs CPU an event, at most ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`,
    )
  } finally {
    server.kill()
  }
}

/** Makes the log, keeps its files, and tells the parent at which port they are. */
async function serve(events: number): Promise<void> {
  const files = new Map<string, Buffer>()
  const signed: { size: number; note: string }[] = []
  const tree = growingTree()
  const levels: Buffer[][] = []
  let entries: Buffer[] = []
  for (let index = 0; index < events; index += 1) {
    const entry = sampleEntry(index)
    entries.push(entry)
    for (const { level, hash } of tree.append(hashOfLeaf(entry))) {
      if (level % tileHeight !== 0) continue
      const hashes = levels[level / tileHeight]
      if (hashes) hashes.push(hash)
      else levels.push([hash])
    }
    if (entries.length === tileWidth || index === events - 1) {
      const tile = Math.floor(index / tileWidth)
      files.set(`entries/${tile}/${entries.length}`, bundleOf(entries))
      entries = []
    }
    if (tree.size() % Math.ceil(events / notes) === 0 || tree.size() === events) {
      const text = checkpointText({
        origin: signer.name,
        size: tree.size(),
        root: tree.root(),
        extensions: [],
      })
      signed.push({ size: tree.size(), note: signNote(text, [signer]) })
    }
  }
  levels.forEach((hashes, level) => {
    for (let at = 0; at < hashes.length; at += tileWidth) {
      const some = hashes.slice(at, at + tileWidth)
      files.set(`${level}/${at / tileWidth}/${some.length}`, Buffer.concat(some))
    }
  })
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    const tile = readTilePath(path.replace('/ledger/tile/', ''))
    const body = tile
      ? files.get(`${tile.level}/${tile.index}/${tile.width}`)
      : path === '/ledger/checkpoint'
        ? signed.at(-1)?.note
        : JSON.stringify({ items: signed, nextCursor: null })
    response.writeHead(body === undefined ? 404 : 200).end(body)
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    console.error(`the log is made: ${Math.round(process.memoryUsage().rss / mebibyte)} MiB of files`)
    process.send?.(typeof address === 'object' ? address?.port : undefined)
  })
}

/** About as long as those of a service: some 700 bytes. */
function sampleEntry(index: number): Buffer {
  const incident = uuid(`incident ${Math.floor(index / eventsAnIncident)}`)
  const revision = index % eventsAnIncident
  const commitment = 'c'.repeat(43)
  return Buffer.from(
    `{"data":{"from":"new","to":"in_progress"},"id":"${uuid(`event ${index}`)}","metadata":{"$correlationId":"${uuid('c')}",` +
      `"actor":{"id":"${uuid('a')}","kind":"access-key"},"at":"2026-02-01T12:00:00.000Z","recordedAt":"2026-02-01T12:00:00.000Z",` +
      `"schemaVersion":1,"sealed":{"commitments":{"actor.name":"${commitment}","description":"${commitment}","title":"${commitment}"},` +
      `"key":"${incident}.0"}},"revision":${revision},"stream":"incident-${incident}","type":"IncidentStatusChanged"}`,
  )
}
