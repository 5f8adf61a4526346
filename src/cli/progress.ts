import { MultiBar, Presets } from 'cli-progress'
import type { Terminal } from './terminal.ts'

/** A bar where a person looks at it, and lines of the answer that do not disturb it. */
export interface Progress {
  readonly update: (done: number, total: number) => void
  readonly line: (text: string) => void
  readonly stop: () => void
}

/** The bar is drawn where standard error is a terminal; the lines go to standard output in any case. */
export function openProgress({ out, err }: Terminal, unit: string): Progress {
  const plain = (text: string) => void out.write(`${text}\n`)
  if (!err.isTTY) return { update: () => {}, line: plain, stop: () => {} }
  const bars = new MultiBar(
    {
      format: `{bar} {percentage}% · {value} of {total} ${unit} · {eta_formatted} to go`,
      clearOnComplete: true,
      hideCursor: true,
      stream: process.stderr,
    },
    Presets.shades_classic,
  )
  const bar = bars.create(0, 0)
  return {
    update(done, total) {
      bar.setTotal(total)
      bar.update(done)
    },
    line: out.isTTY ? (text) => bars.log(`${text}\n`) : plain,
    stop: () => bars.stop(),
  }
}
