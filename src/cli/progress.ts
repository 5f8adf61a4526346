import { Writable } from 'node:stream'
import { MultiBar, Presets, type SingleBar } from 'cli-progress'
import type { Terminal } from './terminal.ts'

/** A bar where a person looks at it, and lines of the answer that do not disturb it. */
export interface Progress {
  readonly update: (done: number, total: number) => void
  readonly line: (text: string) => void
  readonly stop: () => void
}

/** With the words beside it, within the 80 columns of the narrowest terminal. */
const barColumns = 30
/** Enough that the time to go does not jump about. */
const updatesOfEstimate = 200
/** DEC private mode 7: without it a terminal cuts off what is longer than its lines. The bar needs it off, lines to read need it on. */
const wrapLines = '\u001B[?7h'
const cutLines = '\u001B[?7l'

/** The bar is drawn where standard error is a terminal, from the first update on; the lines go to standard output in any case. */
export function openProgress({ out, err }: Terminal, unit: string): Progress {
  const plain = (text: string) => void out.write(`${text}\n`)
  if (!err.isTTY || !(err instanceof Writable)) return { update: () => {}, line: plain, stop: () => {} }
  const bars = new MultiBar(
    {
      format: `{bar} {percentage}% · {value} of {total} ${unit} · {eta_formatted} to go`,
      barsize: barColumns,
      etaBuffer: updatesOfEstimate,
      clearOnComplete: true,
      hideCursor: true,
      stream: err,
    },
    Presets.shades_classic,
  )
  let bar: SingleBar | undefined
  return {
    update(done, total) {
      bar ??= bars.create(total, 0)
      bar.update(done)
    },
    line: (text) => {
      if (bar && out.isTTY) bars.log(`${wrapLines}${text}${cutLines}\n`)
      else plain(text)
    },
    stop: () => {
      // What was said since it was last drawn would be lost with it.
      if (bar) bars.update()
      bars.stop()
    },
  }
}
