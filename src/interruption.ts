/** How a process of ours is told to end: by SIGINT or SIGTERM, in order, and not for ever. */

/** An end in order that takes longer is cut short: everything acknowledged is on the disk anyway. */
const endTimeoutMs = 10_000

/**
 * Aborts at the first SIGINT or SIGTERM. The process then has ten seconds to end by itself; after them, or at a second signal, it
 * leaves with `exitCode`.
 */
export function interruption(exitCode: number, timeoutMs = endTimeoutMs): AbortSignal {
  const interrupted = new AbortController()
  const onSignal = (signal: NodeJS.Signals) => {
    if (interrupted.signal.aborted) process.exit(exitCode)
    interrupted.abort()
    setTimeout(() => {
      process.stderr.write(
        `incident-ledger: ${signal} was not followed by an end in ${timeoutMs / 1_000} s: leaving\n`,
      )
      process.exit(exitCode)
    }, timeoutMs).unref()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return interrupted.signal
}
