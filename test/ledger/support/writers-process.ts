/** `node writers-process.ts URL`: 200 writers of long reports until standard input ends; prints a line for each report. */
import { LedgerError } from '../../../src/ledger/errors.ts'
import { openLedger } from '../../../src/ledger/open.ts'
import { context, report, secret, silent } from './requests.ts'

const ledger = await openLedger({ eventStoreUrl: process.argv[2] ?? '', secret, log: silent })
const ended = new AbortController()
process.stdin.once('end', () => ended.abort()).resume()

async function write() {
  while (!ended.signal.aborted) {
    try {
      const { incident } = await ledger.incidents.report(
        report({ description: 'x'.repeat(9_000) }),
        context(),
      )
      console.log(incident.id)
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error
    }
  }
}

await Promise.all(Array.from({ length: 200 }, write))
await ledger.close()
