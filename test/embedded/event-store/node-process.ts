import { runEventStoreNode } from '../../../src/embedded/event-store/node.ts'

// A node in a process of its own, to be killed: prints its URL, and stops when its standard input ends. A file that may
// not grow is to be an error of the write, as it is on a full disk.
const stop = new AbortController()
process.on('SIGXFSZ', () => {})
process.stdin.on('end', () => stop.abort()).resume()
await runEventStoreNode({ dataDir: process.argv[2] }, stop.signal, ({ url }) => console.log(url))
