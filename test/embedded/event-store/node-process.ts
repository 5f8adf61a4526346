import { runEventStoreNode } from '../../../src/embedded/event-store/node.ts'

// A node in a process of its own, to be killed: prints its URL, and stops when its standard input ends.
const stop = new AbortController()
process.stdin.on('end', () => stop.abort()).resume()
await runEventStoreNode({ dataDir: process.argv[2] }, stop.signal, ({ url }) => console.log(url))
