import { runCommandLine } from '../../../src/cli/program.ts'
import { recordedTerminal } from '../recorded-terminal.ts'

/** Runs a command line of an auditor, which needs nothing of a ledger of its own. */
export async function runVerify(args: readonly string[], interruption = new AbortController().signal) {
  const terminal = recordedTerminal()
  const code = await runCommandLine(args, {
    terminal,
    version: 'test',
    interruption,
    configuredService: () => ({ url: new URL('http://127.0.0.1:3003'), accessKey: 'the configured key' }),
    auditFile: () => '/nowhere/audit.log',
    serve: notHere,
    openRuntime: notHere,
    openRepublication: notHere,
    rebuildReadModel: notHere,
    loadCopy: notHere,
    runEventStoreNode: notHere,
  })
  return { code, ...terminal.said }
}

async function notHere(): Promise<never> {
  throw new Error('an auditor needs nothing of a ledger of its own')
}
