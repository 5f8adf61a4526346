import type { copyLedger, giveUpCopy } from '../ledger/copy/copy.ts'
import { openProgress } from './progress.ts'
import { type Terminal, writeJson, writeTable } from './terminal.ts'

export interface CopyCommandOptions {
  readonly copyLedger: typeof copyLedger
  readonly giveUpCopy: typeof giveUpCopy
  readonly from: string
  readonly to: string
  /** Instead of copying, opens the source again. */
  readonly cancel: boolean
  readonly signal: AbortSignal
  readonly terminal: Terminal
  readonly json: boolean
}

/** Moves the ledger to another event store, or gives a move up that was begun. */
export async function copy(options: CopyCommandOptions): Promise<void> {
  if (options.cancel) await cancel(options)
  else await move(options)
}

async function move({ copyLedger, from, to, signal, terminal, json }: CopyCommandOptions): Promise<void> {
  const startedMs = Date.now()
  const progress = openProgress(terminal, 'events')
  let isClosing = false
  const summary = await copyLedger({
    from,
    to,
    signal,
    onStage: (stage) => {
      isClosing = stage === 'closing'
      if (isClosing && !json) progress.line('The source takes no commands from now on; copying the rest.')
    },
    onProgress: progress.update,
  })
    .finally(progress.stop)
    .catch((error: unknown) => {
      const isOpen = isClosing
        ? '; the source takes no commands until then, or until you give it up with --cancel'
        : ''
      terminal.err.write(`The copy is not complete. Run it again and it goes on from there${isOpen}.\n`)
      throw error
    })
  const seconds = (Date.now() - startedMs) / 1_000
  if (json) return writeJson(terminal, { type: 'copy', ...summary, seconds })
  if (summary.outcome === 'already') {
    terminal.out.write(
      'The ledger was copied already. It lives at the target; the source takes no commands.\n',
    )
    return
  }
  terminal.out.write(
    `The ledger lives at the target now, and the source takes no commands any more. It took ${seconds.toFixed(1)} s.\n`,
  )
  writeTable(terminal, [
    ['events', summary.events],
    ['  copied now', summary.copied],
    ['vaults copied now', summary.vaults],
  ])
  if (summary.leftOut > 0) {
    terminal.err.write(
      `${summary.leftOut} events of deleted streams of the ledger are left out: those after them have other indexes than before\n`,
    )
  }
}

async function cancel({ giveUpCopy, from, to, terminal, json }: CopyCommandOptions): Promise<void> {
  const wasUnderWay = await giveUpCopy({ from, to })
  if (json) return writeJson(terminal, { type: 'copy-cancelled', wasUnderWay })
  terminal.out.write(
    wasUnderWay
      ? 'The copy is given up. The ledger lives at the source, which takes commands.\n'
      : 'The copy was given up before. The ledger lives at the source, which takes commands.\n',
  )
}
