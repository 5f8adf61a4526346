import { createInterface } from 'node:readline'
import { runEventStoreNode } from '../../../src/embedded/event-store/node.ts'

// A node in a process of its own, to be killed: prints its URL, and after each line of its standard input how many bytes
// of memory it has; stops when that ends. A file that may not grow is to be an error of the write, as on a full disk.
const stop = new AbortController()
process.on('SIGXFSZ', () => {})
createInterface(process.stdin)
  .on('line', () => console.log(process.memoryUsage.rss()))
  .on('close', () => stop.abort())
await runEventStoreNode({ dataDir: process.argv[2] }, stop.signal, ({ url }) => console.log(url))
