import { parentPort, workerData } from 'node:worker_threads'
import { type EventStoreNodeOptions, openEventStoreNode } from './node.ts'

// The thread that startEventStoreNode starts: its data are that function's options, its first message says where it
// listens, and any message to it closes the node.
const options: EventStoreNodeOptions = workerData
const node = await openEventStoreNode(options)
parentPort?.once('message', () => node.close())
parentPort?.postMessage({ url: node.url, port: node.port })
