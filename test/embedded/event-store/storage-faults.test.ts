import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openDatabase } from '../../../src/embedded/event-store/database.ts'
import { createEventLog } from '../../../src/embedded/event-store/event-log.ts'
import { checkLog } from '../../../src/embedded/event-store/fsck.ts'
import { startEventStoreNode } from '../../../src/embedded/event-store/node.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { collect } from './node-under-test.ts'

const PAGE_BYTES = 16_384
/** Of the unit that the shell counts in, 512 or 1024 bytes. */
const FILE_SIZE_LIMIT = 4096

let directory: TemporaryDirectory
beforeEach(async () => {
  directory = await temporaryDirectory()
})
afterEach(() => directory.remove())

test('when the disk takes no more, appends are refused with the reason, what was answered is there, and reads go on', async () => {
  const script = fileURLToPath(new URL('./node-process.ts', import.meta.url))
  const limited = [
    '-c',
    `ulimit -f ${FILE_SIZE_LIMIT}; exec "$@"`,
    'sh',
    process.execPath,
    script,
    directory.path,
  ]
  const child = spawn('sh', limited, { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  const [url] = await once(createInterface(child.stdout), 'line')
  const client = EventStoreDBClient.connectionString(String(url))
  const answered: string[] = []
  let refusal: unknown
  while (refusal === undefined) {
    const event = jsonEvent({ type: 'Something', data: 'x'.repeat(100_000) })
    await client.appendToStream(`s-${answered.length % 3}`, event).then(
      () => answered.push(event.id),
      (error) => {
        refusal = error
      },
    )
    expect(answered.length).toBeLessThan(FILE_SIZE_LIMIT)
  }
  expect(String(refusal)).toMatch(/the log cannot be written to: (disk I\/O error|database or disk is full)/)
  const ids = async () => (await collect(client.readAll())).map(({ event }) => event?.id)
  expect(await ids()).toEqual(answered)
  await client.dispose()
  child.stdin.end()
  expect(await ended).toEqual([0, null])

  expect([...checkLog(join(directory.path, 'events.sqlite'))].flatMap(({ faults }) => faults)).toEqual([])
  const log = createEventLog(openDatabase(directory.path))
  const stored: string[] = []
  for (let page = log.reader.allForwards(0); page.length > 0; page = log.reader.allForwards(stored.length)) {
    stored.push(...page.map(({ id }) => id))
  }
  log.close()
  expect(stored).toEqual(answered)
})

test('with a damaged page a node starts, serves what is sound, and refuses the rest with the reason', async () => {
  await writeStreams()
  damage('the damaged stream, event 20')
  const node = await startEventStoreNode({ dataDir: directory.path })
  const client = EventStoreDBClient.connectionString(node.url)
  const malformed = /malformed/
  expect(await collect(client.readStream('sound'))).toHaveLength(40)
  await expect(collect(client.readStream('damaged'))).rejects.toThrow(malformed)
  expect(await collect(client.readStream('sound'))).toHaveLength(40)
  await expect(collect(client.readAll())).rejects.toThrow(malformed)
  const append = client.appendToStream('sound', jsonEvent({ type: 'Something', data: {} }))
  expect(await append).toMatchObject({ success: true, nextExpectedRevision: 40n })
  const read = await collect(client.readStream('sound', { fromRevision: 40n }))
  expect(read).toMatchObject([{ event: { revision: 40n } }])
  // To remove the events of a stream, its pages have to be read.
  await expect(client.deleteStream('damaged')).rejects.toThrow(/the log cannot be written to: .*malformed/)
  expect(await collect(client.readStream('sound'))).toHaveLength(41)
  await client.dispose()
  await node.close()
})

test('a file whose beginning is damaged is refused with a sentence that says what to do', async () => {
  await writeStreams()
  const file = join(directory.path, 'events.sqlite')
  const bytes = readFileSync(file)
  bytes.fill(0xff, 100, PAGE_BYTES)
  writeFileSync(file, bytes)
  await expect(startEventStoreNode({ dataDir: directory.path })).rejects.toThrow(
    /events\.sqlite is damaged: .*malformed.*fsck.*backup can be restored/,
  )
})

/** Two streams of forty events, a few to a page. */
async function writeStreams(): Promise<void> {
  const log = createEventLog(openDatabase(directory.path))
  for (const stream of ['sound', 'damaged']) {
    const events = Array.from({ length: 40 }, (_, number) => ({
      id: crypto.randomUUID(),
      type: 'Something',
      isJson: false,
      data: Buffer.from(`the ${stream} stream, event ${number} ${'.'.repeat(3000)}`),
      metadata: new Uint8Array(0),
    }))
    await log.append(stream, 'no_stream', events)
  }
  log.close()
}

/** Overwrites the header of the page that holds this text. */
function damage(text: string): void {
  const file = join(directory.path, 'events.sqlite')
  const bytes = readFileSync(file)
  const at = bytes.indexOf(text)
  expect(at).toBeGreaterThan(PAGE_BYTES)
  const page = at - (at % PAGE_BYTES)
  bytes.fill(0xff, page, page + 8)
  writeFileSync(file, bytes)
}
