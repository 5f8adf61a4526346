/** A process that claims a data directory: `node data-dir-claimant.ts DIR`. It prints the claim; each line to its input is a method to call. */
import { createInterface } from 'node:readline'
import { claimDataDir } from '../../src/embedded/data-dir.ts'

const [, , dataDir = ''] = process.argv
const claim = await claimDataDir(dataDir)
console.log(JSON.stringify(claim))
if (claim.kind === 'owner') {
  for await (const line of createInterface(process.stdin)) {
    if (line === 'publish') {
      await claim.publish({
        pid: process.pid,
        eventStoreUrl: 'esdb://127.0.0.1:2113?tls=false',
        databaseUrl: 'postgres://127.0.0.1/x',
        startedAt: new Date().toISOString(),
      })
    }
    if (line === 'release') await claim.release()
    console.log(line)
  }
}
