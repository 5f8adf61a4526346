/** The embedded event store node as a process of its own: `node event-store-process.ts DIR PORT` prints its URL. */
import { runEventStoreNode } from '../../src/embedded/event-store/node.ts'

const [, , dataDir, port] = process.argv
const stopping = new AbortController()
process.once('SIGTERM', () => stopping.abort())
await runEventStoreNode({ dataDir, port: Number(port) }, stopping.signal, ({ url }) => console.log(url))
