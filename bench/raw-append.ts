/**
 * The official client appending one event at a time, 64 at once, to the embedded node: its ceiling for a service that appends
 * one event a POST. Same topology as the service: the node in a worker thread of the client's process. Appends for as many
 * milliseconds as each message of its parent says, answers with how many a second, and ends with its parent.
 */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventStoreDBClient, jsonEvent, NO_STREAM } from '@eventstore/db-client'
import { startEventStoreNode } from '../src/embedded/event-store/node.ts'

const [dataText = '{}', metadataText = '{}'] = process.argv.slice(2)
const atOnce = 64
const dataDir = await mkdtemp(join(tmpdir(), 'incident-ledger-bench-'))
const node = await startEventStoreNode({ dataDir })
const client = EventStoreDBClient.connectionString(node.url)
const data = JSON.parse(dataText)
const metadata = JSON.parse(metadataText)

process.on('message', async (durationMs) => process.send?.(await appendFor(Number(durationMs))))
process.once('disconnect', async () => {
  await client.dispose()
  await node.close()
  await rm(dataDir, { recursive: true })
})
process.send?.('ready')

async function appendFor(durationMs: number): Promise<number> {
  const startMs = performance.now()
  let appends = 0
  const writer = async () => {
    while (performance.now() - startMs < durationMs) {
      const event = jsonEvent({ id: randomUUID(), type: 'IncidentReported', data, metadata })
      await client.appendToStream(`incident-${randomUUID()}`, event, { expectedRevision: NO_STREAM })
      appends += 1
    }
  }
  await Promise.all(Array.from({ length: atOnce }, writer))
  return (appends / (performance.now() - startMs)) * 1_000
}
