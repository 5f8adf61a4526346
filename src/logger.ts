import { type Logger, pino } from 'pino'
import pretty from 'pino-pretty'
import type { Config } from './config.ts'

export type { Logger }

/** A logger to standard output: a JSON object a line for machines, or lines for people. */
export function openLogger({ logLevel, logFormat }: Pick<Config, 'logLevel' | 'logFormat'>): Logger {
  const options = { level: logLevel, base: null }
  if (logFormat === 'json') return pino({ ...options, timestamp: isoTime() }, turnwiseOutput(1))
  return pino(options, pretty({ translateTime: 'HH:MM:ss', ignore: 'pid,hostname', singleLine: true }))
}

/** So much of a turn's text is not left to its end. */
const heldLength = 8 * 1024

/**
 * Writes the lines of one turn of the event loop as one, at its end, and what is held when the process exits: a write costs a good
 * part of what the request did that a line tells of. A fatal line is written at once, with those before it.
 */
export function turnwiseOutput(file: number | string) {
  // Written synchronously, as pino does by default: what has left this process cannot be lost by it any more.
  const output = pino.destination({ dest: file, sync: true })
  let held = ''
  const flushSync = () => {
    if (held === '') return
    const lines = held
    held = ''
    output.write(lines)
  }
  process.on('exit', flushSync)
  return {
    write(line: string) {
      if (held === '') setImmediate(flushSync)
      held += line
      if (held.length >= heldLength) flushSync()
    },
    flushSync,
  }
}

/** The time as pino's `isoTime` has it. Lines of one millisecond share it. */
function isoTime(): () => string {
  let lastMs = 0
  let last = ''
  return () => {
    const nowMs = Date.now()
    if (nowMs !== lastMs) {
      lastMs = nowMs
      last = `,"time":"${new Date(nowMs).toISOString()}"`
    }
    return last
  }
}
